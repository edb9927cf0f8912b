#pragma once

#include "ledger/log_files.hpp"
#include "tlog/source.hpp"

namespace avseal::ledger {

// The right edge of a log's tree: the hashes and entries of the partial tile of each level, out of which grow the next
// tiles and the root.
class TreeEdge {
 public:
  TreeEdge() = default;
  // From the partial tiles of a log of `size` leaves. Error "ledger-head" with the file.
  static Result<TreeEdge> read(const tlog::Source& source, std::uint64_t size);

  void append(ByteView leaf, const tlog::Hash& hash);
  [[nodiscard]] std::uint64_t size() const { return size_; }
  [[nodiscard]] std::size_t bytes() const { return bytes_; }  // of the files that wait for take_files()
  [[nodiscard]] tlog::Hash root() const;

  // The files that size() needs and the size at the last call did not: the full ones, then the partial ones.
  std::vector<LogFile> take_files();

 private:
  std::uint64_t size_ = 0;
  std::uint64_t taken_ = 0;                      // size at the last call of take_files()
  std::vector<std::vector<tlog::Hash>> levels_;  // of the partial tile of each level
  Bytes bundle_;
  std::vector<LogFile> full_;
  std::size_t bytes_ = 0;
};

}  // namespace avseal::ledger
