#pragma once

#include <memory>
#include <string>

#include "ledger/file_descriptor.hpp"
#include "ledger/file_ops.hpp"
#include "ledger/segment.hpp"

namespace avseal::ledger {

// What a start found in the last segment.
struct SegmentTail {
  std::uint64_t torn_bytes = 0;  // cut off
  std::string torn_digest;       // base64url SHA-256 of what was cut
  std::string last_leaf;         // empty: the segment has none
};

// The segment files of one directory, which is locked. For one thread.
class SegmentLog {
 public:
  struct Options {
    std::filesystem::path directory;
    std::string origin;           // of the log
    std::uint64_t published = 0;  // leaves that are in tiles: earlier segments may be gone
    std::uint64_t reserve_bytes = 0;
    std::uint64_t segment_bytes = 0;
    std::shared_ptr<FileOps> files;
  };

  // Checks all segments and cuts a torn tail, however little room there is: see check_space(). Errors "ledger-corrupt",
  // "ledger-origin", "ledger-full", "ledger-unavailable".
  static Result<std::unique_ptr<SegmentLog>> open(Options options);

  [[nodiscard]] std::uint64_t next_index() const { return next_index_; }
  [[nodiscard]] const std::string& origin() const { return options_.origin; }
  [[nodiscard]] const SegmentTail& tail() const { return tail_; }

  // Writes a batch that starts at next_index(); on disk when it returns. "ledger-full": nothing of it was kept, it may
  // be tried again. Any other error is for good: what is on disk is not known.
  Result<void> append(ByteView batch, std::uint64_t leaves);

  // Tells the next start that all before it is committed. Not on disk at once: it only sharpens the distinction between
  // damage and a torn tail.
  void seal() { (void)write_seal(); }

  [[nodiscard]] Result<void> check_space() const;  // "ledger-full"
  [[nodiscard]] std::filesystem::path file() const { return options_.directory / name_; }

 private:
  explicit SegmentLog(Options options) : options_(std::move(options)) {}
  Result<void> recover();
  Result<void> use_last(const std::string& name, const SegmentEnd& end, ByteView bytes);
  Result<void> make_durable(ByteView committed, std::uint64_t last_batch);
  Result<void> start_segment();
  Result<void> sync_name();
  Result<void> write_seal();
  Result<void> check_file() const;
  Result<void> preallocate(std::uint64_t size);
  Result<void> write_all(int fd, ByteView bytes, std::uint64_t offset);

  Options options_;
  FileDescriptor segment_;
  std::string name_;
  std::uint64_t next_index_ = 0;
  std::uint64_t offset_ = 0;  // end of the committed batches
  std::uint64_t size_ = 0;    // of the file: offset_, or with the seal
  std::uint64_t preallocated_ = 0;
  SegmentTail tail_;
};

}  // namespace avseal::ledger
