#include "ledger/segment_files.hpp"

#include <algorithm>
#include <charconv>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ledger/errors.hpp"
#include "ledger/file_descriptor.hpp"

namespace avseal::ledger {

namespace {

constexpr std::string_view extension = ".leaves";

// A whole file, mapped for reading.
class MappedFile {
 public:
  static Result<MappedFile> open(const std::filesystem::path& file) {
    const FileDescriptor fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    if (!fd) return errors::not_done("cannot open", file, errno);
    struct stat info {};
    if (::fstat(fd.get(), &info) != 0) return errors::unavailable("cannot stat", file, errno);
    const auto size = static_cast<std::size_t>(info.st_size);
    if (size == 0) return MappedFile(nullptr, 0);
    void* data = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd.get(), 0);
    if (data == MAP_FAILED) return errors::not_done("cannot map", file, errno);
    ::madvise(data, size, MADV_SEQUENTIAL);
    return MappedFile(data, size);
  }
  MappedFile(MappedFile&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  MappedFile& operator=(MappedFile&&) = delete;
  ~MappedFile() {
    if (data_ != nullptr) ::munmap(data_, size_);
  }

  [[nodiscard]] ByteView bytes() const { return {static_cast<const std::uint8_t*>(data_), size_}; }

 private:
  MappedFile(void* data, std::size_t size) noexcept : data_(data), size_(size) {}
  void* data_;
  std::size_t size_;
};

std::optional<std::uint64_t> start_of(std::string_view name) {
  if (!name.ends_with(extension)) return std::nullopt;
  const auto digits = name.substr(0, name.size() - extension.size());
  std::uint64_t start = 0;
  const auto [end, failed] = std::from_chars(digits.data(), digits.data() + digits.size(), start);
  if (failed != std::errc() || end != digits.data() + digits.size() || segment_name(start) != name) return std::nullopt;
  return start;
}

// Names and headers of segments, in order: each must go on where the one before it ended.
Result<void> check_place(const std::filesystem::path& file, ByteView bytes, std::uint64_t expected,
                         const std::optional<std::string>& origin) {
  const auto header = decode_segment_header(bytes);
  if (!header) return errors::corrupt(file, 0, "expected the header of a segment");
  if (header->first_index != expected || file.filename() != segment_name(expected)) {
    return errors::corrupt(file, 0, fmt::format("expected the segment that starts at leaf {}", expected));
  }
  if (origin && header->origin != tokens::sha256(as_bytes(*origin))) return errors::other_origin(file, *origin);
  return {};
}

}  // namespace

std::string segment_name(std::uint64_t first_index) {
  return fmt::format("{:020}{}", first_index, extension);
}

Result<std::vector<std::uint64_t>> segment_starts(const std::filesystem::path& directory) {
  std::vector<std::uint64_t> starts;
  std::error_code failed;
  std::filesystem::directory_iterator entries(directory, failed);
  for (; !failed && entries != std::filesystem::directory_iterator(); entries.increment(failed)) {
    if (const auto start = start_of(entries->path().filename().native())) starts.push_back(*start);
  }
  if (failed) return errors::not_done("cannot list", directory, failed.value());
  std::sort(starts.begin(), starts.end());
  return starts;
}

Result<std::optional<SegmentHeader>> last_segment_header(const std::filesystem::path& directory) {
  AVSEAL_TRY(const auto starts, segment_starts(directory));
  if (starts.empty()) return std::optional<SegmentHeader>();
  const auto file = directory / segment_name(starts.back());
  AVSEAL_TRY(const auto mapped, MappedFile::open(file));
  const auto header = decode_segment_header(mapped.bytes());
  if (!header) return errors::corrupt(file, 0, "expected the header of a segment");
  return header;
}

Result<void> read_segments(const std::filesystem::path& directory, const std::optional<std::string>& origin,
                           std::uint64_t published, const BatchSink& sink, const LastSegment& last) {
  AVSEAL_TRY(auto starts, segment_starts(directory));
  // The one with the last published leaf, and what follows: others may be gone, or back after a crash.
  const auto behind = std::lower_bound(starts.begin(), starts.end(), published);
  if (published != 0 && behind == starts.begin()) {
    return errors::corrupt(directory, 0, fmt::format("expected a segment with leaf {}", published - 1));
  }
  if (published != 0) starts.erase(starts.begin(), std::prev(behind));
  std::uint64_t next_index = published == 0 ? 0 : starts.front();
  for (const auto start : starts) {
    const auto file = directory / segment_name(start);
    AVSEAL_TRY(const auto mapped, MappedFile::open(file));
    AVSEAL_CHECK(check_place(file, mapped.bytes(), next_index, origin));
    AVSEAL_TRY(const auto end, read_segment(mapped.bytes(), file, sink));
    if (start == starts.back()) return last(file.filename().string(), end, mapped.bytes());
    if (!end.sealed || end.rest != batch_header_size) {
      return errors::corrupt(file, end.offset, "expected the seal of a segment that others follow");
    }
    next_index = end.next_index;
  }
  return {};
}

}  // namespace avseal::ledger
