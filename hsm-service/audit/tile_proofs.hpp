// What the tiles of a log prove of it, where its leaves are not read.
#pragma once

#include "tlog/checkpoint.hpp"
#include "tlog/source.hpp"

namespace avseal::audit {

class TileProofs {
 public:
  // Both outlive *this.
  TileProofs(const tlog::Source& source, const tlog::Checkpoint& checkpoint);
  TileProofs(const TileProofs&) = delete;
  TileProofs& operator=(const TileProofs&) = delete;

  // That the log continues an older checkpoint; that it has a leaf in its place. What is wrong, a missing tile too;
  // empty: it holds. Errors: those of the source.
  Result<std::string> continues(const tlog::Checkpoint& old);
  Result<std::string> has(std::uint64_t index, const tlog::Hash& leaf);

 private:
  [[nodiscard]] Result<std::string> judge(const Result<void>& holds) const;

  const tlog::Checkpoint& checkpoint_;
  std::optional<Error> unread_;
  tlog::TileNodes nodes_;
};

}  // namespace avseal::audit
