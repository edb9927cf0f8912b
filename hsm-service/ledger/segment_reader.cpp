#include <algorithm>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ledger/errors.hpp"
#include "ledger/ledger.hpp"
#include "ledger/segment_log.hpp"

namespace avseal::ledger {

namespace {

constexpr std::string_view extension = ".leaves";

// A whole file, mapped for reading.
class MappedFile {
 public:
  static Result<MappedFile> open(const std::filesystem::path& file) {
    const FileDescriptor fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    if (!fd) return errors::unavailable("cannot open", file, errno);
    struct stat info {};
    if (::fstat(fd.get(), &info) != 0) return errors::unavailable("cannot stat", file, errno);
    const auto size = static_cast<std::size_t>(info.st_size);
    if (size == 0) return MappedFile(nullptr, 0);
    void* data = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd.get(), 0);
    if (data == MAP_FAILED) return errors::unavailable("cannot map", file, errno);
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

Result<std::vector<std::string>> segment_names(const std::filesystem::path& directory) {
  std::vector<std::string> names;
  std::error_code failed;
  std::filesystem::directory_iterator entries(directory, failed);
  for (; !failed && entries != std::filesystem::directory_iterator(); entries.increment(failed)) {
    auto name = entries->path().filename().string();
    if (name.ends_with(extension)) names.push_back(std::move(name));
  }
  if (failed) return errors::unavailable("cannot list", directory, failed.value());
  std::sort(names.begin(), names.end());
  return names;
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

Result<void> read_segments(const std::filesystem::path& directory, const std::optional<std::string>& origin,
                           const LeafSink& sink, const LastSegment& last) {
  AVSEAL_TRY(const auto names, segment_names(directory));
  std::uint64_t next_index = 0;
  for (const auto& name : names) {
    const auto file = directory / name;
    AVSEAL_TRY(const auto mapped, MappedFile::open(file));
    AVSEAL_CHECK(check_place(file, mapped.bytes(), next_index, origin));
    AVSEAL_TRY(const auto end, read_segment(mapped.bytes(), file, sink));
    if (name == names.back()) return last(name, end, mapped.bytes());
    if (!end.sealed || end.rest != batch_header_size) {
      return errors::corrupt(file, end.offset, "expected the seal of a segment that others follow");
    }
    next_index = end.next_index;
  }
  return {};
}

Result<std::vector<std::string>> read_leaves(const std::filesystem::path& directory) {
  std::vector<std::string> leaves;
  const auto keep = [&](std::string_view leaf) { leaves.emplace_back(leaf); };
  const auto ignore = [](const std::string&, const SegmentEnd&, ByteView) -> Result<void> { return {}; };
  AVSEAL_CHECK(read_segments(directory, std::nullopt, keep, ignore));
  return leaves;
}

}  // namespace avseal::ledger
