#pragma once

#include <functional>

#include "ledger/file_descriptor.hpp"
#include "ledger/segment.hpp"

namespace avseal::ledger {

using HashedLeafSink = std::function<void(ByteView leaf, const tokens::Sha256& hash)>;

// Reads committed leaves from the segment files, in order and checked, while the writer appends behind them. For one
// thread.
class SegmentCursor {
 public:
  // next: index of the first leaf to read, in the segments or just behind them. Errors "ledger-corrupt",
  // "ledger-unavailable".
  static Result<SegmentCursor> open(std::filesystem::path directory, std::uint64_t next);

  // Hands on the rest of the batch with leaf next(), which must be committed.
  Result<void> read(const HashedLeafSink& sink);

  [[nodiscard]] std::uint64_t next() const { return next_; }
  [[nodiscard]] std::uint64_t segment() const { return segment_; }  // index of the first leaf in the open file

 private:
  SegmentCursor(std::filesystem::path directory, std::uint64_t next) : directory_(std::move(directory)), next_(next) {}
  Result<void> open_segment(std::uint64_t first_index);
  Result<BatchHeader> header();  // at offset_; all zero at the end of the file
  Result<void> fill(std::size_t size);
  [[nodiscard]] std::filesystem::path file() const;

  std::filesystem::path directory_;
  std::uint64_t next_;
  std::uint64_t segment_ = 0;
  std::uint64_t offset_ = 0;  // of the batch that has next_
  FileDescriptor fd_;
  Bytes buffer_;
};

}  // namespace avseal::ledger
