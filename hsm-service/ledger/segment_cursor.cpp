#include "ledger/segment_cursor.hpp"

#include <algorithm>
#include <fcntl.h>
#include <unistd.h>

#include "ledger/errors.hpp"
#include "ledger/segment_files.hpp"

namespace avseal::ledger {

Result<SegmentCursor> SegmentCursor::open(std::filesystem::path directory, std::uint64_t next) {
  AVSEAL_TRY(const auto starts, segment_starts(directory));
  const auto behind = std::upper_bound(starts.begin(), starts.end(), next);
  if (behind == starts.begin()) {
    return errors::corrupt(directory, 0, fmt::format("expected a segment with leaf {}", next));
  }
  SegmentCursor cursor(std::move(directory), next);
  AVSEAL_CHECK(cursor.open_segment(*std::prev(behind)));
  for (;;) {
    AVSEAL_TRY(const auto header, cursor.header());
    if (header.leaves == 0 || header.first_index + header.leaves > next) return cursor;
    cursor.offset_ += batch_header_size + header.size;
  }
}

Result<void> SegmentCursor::read(const HashedLeafSink& sink) {
  AVSEAL_TRY(auto next, header());
  if (next.leaves == 0) {
    AVSEAL_CHECK(open_segment(next_));
    AVSEAL_TRY(next, header());
  }
  AVSEAL_CHECK(fill(batch_header_size + next.size));
  const auto batch = read_batch(buffer_);
  if (!batch.wrong.empty()) return errors::corrupt(file(), offset_, batch.wrong);
  if (batch.first_index > next_ || batch.first_index + batch.leaves.size() <= next_) {
    return errors::corrupt(file(), offset_, fmt::format("expected leaf {}, found {}", next_, batch.first_index));
  }
  for (auto i = static_cast<std::size_t>(next_ - batch.first_index); i < batch.leaves.size(); ++i) {
    sink(batch.leaves[i], batch.hashes[i]);
  }
  next_ = batch.first_index + batch.leaves.size();
  offset_ += batch.size;
  return {};
}

Result<void> SegmentCursor::open_segment(std::uint64_t first_index) {
  segment_ = first_index;
  offset_ = segment_header_size;
  fd_ = FileDescriptor(::open(file().c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!fd_) return errors::not_done("cannot open", file(), errno);
  return {};
}

Result<BatchHeader> SegmentCursor::header() {
  AVSEAL_CHECK(fill(batch_header_size));
  if (buffer_.empty()) return BatchHeader{};
  const auto header = decode_batch_header(buffer_);
  if (!header) return errors::corrupt(file(), offset_, "no batch header");
  return *header;
}

// Reads `size` bytes at offset_; fewer at the end of the file.
Result<void> SegmentCursor::fill(std::size_t size) {
  buffer_.resize(size);
  std::size_t done = 0;
  while (done < size) {
    const auto n = ::pread(fd_.get(), buffer_.data() + done, size - done, static_cast<off_t>(offset_ + done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errors::unavailable("cannot read", file(), errno);
    if (n == 0) break;
    done += static_cast<std::size_t>(n);
  }
  buffer_.resize(done);
  return {};
}

std::filesystem::path SegmentCursor::file() const {
  return directory_ / segment_name(segment_);
}

}  // namespace avseal::ledger
