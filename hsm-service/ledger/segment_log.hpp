#pragma once

#include <memory>
#include <string>

#include "ledger/file_ops.hpp"
#include "ledger/segment.hpp"

namespace avseal::ledger {

class FileDescriptor {
 public:
  explicit FileDescriptor(int fd = -1) noexcept : fd_(fd) {}
  FileDescriptor(FileDescriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  FileDescriptor& operator=(FileDescriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~FileDescriptor();

  [[nodiscard]] int get() const noexcept { return fd_; }
  explicit operator bool() const noexcept { return fd_ >= 0; }

 private:
  int fd_;
};

// What a start found and cut off the last segment.
struct TornTail {
  std::uint64_t bytes = 0;
  std::string digest;  // base64url SHA-256 of what was cut
};

// The segment files of one directory, locked against other processes. For one thread.
class SegmentLog {
 public:
  struct Options {
    std::filesystem::path directory;
    std::string origin;
    std::uint64_t reserve_bytes = 0;
    std::uint64_t segment_bytes = 0;
    std::shared_ptr<FileOps> files;
  };

  // Creates the directory if need be, locks it, checks all segments and cuts a torn tail. Errors "ledger-locked",
  // "ledger-corrupt", "ledger-origin", "ledger-full", "ledger-unavailable".
  static Result<std::unique_ptr<SegmentLog>> open(Options options);

  [[nodiscard]] std::uint64_t next_index() const { return next_index_; }
  [[nodiscard]] const TornTail& torn_tail() const { return torn_tail_; }

  // Writes a batch that starts at next_index(); on disk when it returns. "ledger-full": nothing of it was kept, it may
  // be tried again. Any other error is for good: what is on disk is not known.
  Result<void> append(ByteView batch, std::uint64_t leaves);

  // Tells the next start that all before it is committed. Not on disk at once: it only sharpens the distinction between
  // damage and a torn tail.
  void seal();

  [[nodiscard]] Result<void> check_space() const;  // "ledger-full"
  [[nodiscard]] std::filesystem::path file() const { return options_.directory / name_; }

 private:
  explicit SegmentLog(Options options) : options_(std::move(options)) {}
  Result<void> lock_directory();
  Result<void> recover();
  Result<void> use_last(const std::string& name, const SegmentEnd& end, ByteView bytes);
  Result<void> start_segment();
  Result<void> check_file() const;
  Result<void> preallocate(std::uint64_t size);
  Result<void> write_all(int fd, ByteView bytes, std::uint64_t offset);

  Options options_;
  FileDescriptor directory_;
  FileDescriptor segment_;
  std::string name_;
  std::uint64_t next_index_ = 0;
  std::uint64_t offset_ = 0;  // end of the committed batches
  std::uint64_t size_ = 0;    // of the file: offset_, or with the seal
  std::uint64_t preallocated_ = 0;
  TornTail torn_tail_;
};

std::string segment_name(std::uint64_t first_index);

// Segment files of a directory in order of their leaves, checked: names and first indices follow on each other, all but
// the last are sealed. The last segment's end is given with its bytes, before they are unmapped.
using LastSegment = std::function<Result<void>(const std::string& name, const SegmentEnd& end, ByteView bytes)>;
Result<void> read_segments(const std::filesystem::path& directory, const std::optional<std::string>& origin,
                           const LeafSink& sink, const LastSegment& last);

}  // namespace avseal::ledger
