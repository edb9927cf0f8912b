#include "ledger/segment_log.hpp"

#include <algorithm>
#include <sys/stat.h>

#include "ledger/errors.hpp"
#include "ledger/segment_files.hpp"
#include "tokens/base64.hpp"

namespace avseal::ledger {

namespace {

constexpr std::uint64_t preallocation_step = 8 << 20;
constexpr std::string_view unfinished_name = "new-segment";

}  // namespace

Result<std::unique_ptr<SegmentLog>> SegmentLog::open(Options options) {
  std::unique_ptr<SegmentLog> log(new SegmentLog(std::move(options)));
  AVSEAL_CHECK(log->recover());
  if (!log->segment_) AVSEAL_CHECK(log->start_segment());
  return log;
}

Result<void> SegmentLog::recover() {
  std::uint64_t last_batch = 0;
  const auto keep_last = [&](const Batch& batch) {
    tail_.last_leaf = as_text(batch.leaves.back());
    last_batch = batch.size;
  };
  return read_segments(options_.directory, options_.origin, options_.published, keep_last,
                       [&](const std::string& name, const SegmentEnd& end, ByteView bytes) -> Result<void> {
                         AVSEAL_CHECK(use_last(name, end, bytes));
                         return make_durable(bytes.first(end.offset), end.sealed ? 0 : last_batch);
                       });
}

Result<void> SegmentLog::use_last(const std::string& name, const SegmentEnd& end, ByteView bytes) {
  name_ = name;
  next_index_ = end.next_index;
  offset_ = size_ = preallocated_ = end.offset;
  segment_ = FileDescriptor(options_.files->open(file()));
  if (!segment_) return errors::not_done("cannot open", file(), errno);
  const std::uint64_t seal_size = end.sealed ? batch_header_size : 0;
  if (end.rest > seal_size) {
    tail_.torn_bytes = end.rest - seal_size;
    tail_.torn_digest = tokens::base64url_encode(tokens::sha256(bytes.subspan(end.offset + seal_size)));
  }
  if (end.rest != 0 && options_.files->ftruncate(segment_.get(), static_cast<off_t>(end.offset)) != 0) {
    return errors::unavailable("cannot cut the torn tail of", file(), errno);
  }
  return {};
}

// What a process that died had written may be in the page cache only, the segment's name too. A batch whose sync failed
// counts as clean there: it is written once more.
Result<void> SegmentLog::make_durable(ByteView committed, std::uint64_t last_batch) {
  if (offset_ > segment_header_size) {
    AVSEAL_CHECK(write_all(segment_.get(), committed.last(last_batch), offset_ - last_batch));
  }
  if (options_.files->fdatasync(segment_.get()) != 0) return errors::unavailable("cannot sync", file(), errno);
  return sync_name();
}

Result<void> SegmentLog::start_segment() {
  auto& files = *options_.files;
  const auto unfinished = options_.directory / unfinished_name;
  const auto name = segment_name(next_index_);
  const auto path = options_.directory / name;
  FileDescriptor fd(files.create(unfinished, 0640));
  if (!fd) return errors::not_done("cannot create", path, errno);
  const auto header = encode(SegmentHeader{next_index_, tokens::sha256(as_bytes(options_.origin))});
  AVSEAL_CHECK(write_all(fd.get(), header, 0));
  if (files.fdatasync(fd.get()) != 0) return errors::unavailable("cannot sync", path, errno);
  if (files.rename(unfinished, path) != 0) return errors::not_done("cannot name", path, errno);
  AVSEAL_CHECK(sync_name());
  segment_ = std::move(fd);
  name_ = name;
  offset_ = size_ = preallocated_ = header.size();
  return {};
}

Result<void> SegmentLog::sync_name() {
  if (options_.files->sync_directory(options_.directory) == 0) return {};
  return errors::not_synced(options_.directory, errno);
}

Result<void> SegmentLog::append(ByteView batch, std::uint64_t leaves) {
  AVSEAL_CHECK(check_file());
  if (offset_ >= options_.segment_bytes && offset_ > segment_header_size) {
    AVSEAL_CHECK(write_seal());
    if (options_.files->fdatasync(segment_.get()) != 0) return errors::unavailable("cannot sync", file(), errno);
    AVSEAL_CHECK(start_segment());
  }
  AVSEAL_CHECK(preallocate(batch.size()));
  if (auto written = write_all(segment_.get(), batch, offset_); !written) {
    // Nothing of a batch that found no room may stay; a seal in its place would be half overwritten.
    if (options_.files->ftruncate(segment_.get(), static_cast<off_t>(offset_)) != 0) {
      return errors::unavailable("cannot cut", file(), errno);
    }
    size_ = offset_;
    return written;
  }
  size_ = offset_ + batch.size();
  if (options_.files->fdatasync(segment_.get()) != 0) {
    return errors::unavailable(fmt::format("cannot sync leaf {} and its batch to", next_index_), file(), errno);
  }
  offset_ += batch.size();
  next_index_ += leaves;
  return {};
}

Result<void> SegmentLog::write_seal() {
  if (size_ != offset_) return {};
  const auto bytes = encode_seal(next_index_);
  const auto written = write_all(segment_.get(), bytes, offset_);
  if (written) {
    size_ = offset_ + bytes.size();
    return {};
  }
  if (options_.files->ftruncate(segment_.get(), static_cast<off_t>(offset_)) == 0) return written;
  size_ = 0;  // the next check_file() stops the log
  return errors::unavailable("cannot cut", file(), errno);
}

Result<void> SegmentLog::check_space() const {
  const auto free = options_.files->free_bytes(options_.directory);
  if (!free) return errors::unavailable("cannot tell the free space of", options_.directory, errno);
  if (*free >= options_.reserve_bytes) return {};
  return errors::full(options_.directory,
                      fmt::format("{} bytes are free, {} are kept in reserve", *free, options_.reserve_bytes));
}

// Somebody who moves, deletes or shortens the open segment must not go unnoticed.
Result<void> SegmentLog::check_file() const {
  struct stat opened {};
  struct stat named {};
  if (::fstat(segment_.get(), &opened) != 0 || ::lstat(file().c_str(), &named) != 0) {
    return errors::unavailable("the open segment is gone:", file(), errno);
  }
  if (opened.st_ino != named.st_ino || opened.st_dev != named.st_dev) {
    return errors::stopped(fmt::format("{} was replaced by another file; keep both for the auditors", file().string()));
  }
  if (static_cast<std::uint64_t>(opened.st_size) != size_) {
    return errors::stopped(fmt::format("{} has {} bytes, expected {}: somebody else writes to it", file().string(),
                                       opened.st_size, size_));
  }
  return {};
}

Result<void> SegmentLog::preallocate(std::uint64_t size) {
  if (offset_ + size <= preallocated_) return {};
  const auto take = [this](std::uint64_t bytes) {
    return options_.files->preallocate(segment_.get(), static_cast<off_t>(offset_), static_cast<off_t>(bytes)) == 0;
  };
  auto step = std::max(size, std::min(preallocation_step, options_.segment_bytes));
  bool taken = take(step);
  if (!taken && (errno == ENOSPC || errno == EDQUOT)) taken = take(step = size);  // what is left is for leaves, too
  if (!taken && errno != EOPNOTSUPP && errno != ENOSYS) return errors::not_done("cannot preallocate", file(), errno);
  preallocated_ = offset_ + step;
  return {};
}

Result<void> SegmentLog::write_all(int fd, ByteView bytes, std::uint64_t offset) {
  while (!bytes.empty()) {
    const auto n = options_.files->pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return errors::not_done("cannot write", file(), n < 0 ? errno : EIO);
    bytes = bytes.subspan(static_cast<std::size_t>(n));
    offset += static_cast<std::uint64_t>(n);
  }
  return {};
}

}  // namespace avseal::ledger
