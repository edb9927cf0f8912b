// One log, or the part of it behind a checkpoint: files, tree and leaves.
#pragma once

#include <atomic>
#include <functional>

#include "audit/history.hpp"
#include "audit/tree.hpp"
#include "tlog/checkpoint.hpp"

namespace avseal::audit {

// A checkpoint that the auditor got earlier, or elsewhere.
struct Held {
  std::string name;  // of its file
  tlog::Checkpoint checkpoint;
};

// Holds a log that is not read to checkpoints of it, by proofs. Errors: those of the source.
Result<void> compare_by_proofs(const tlog::Source& source, const tlog::Checkpoint& checkpoint,
                               std::span<const Held> held, Verdict& verdict);

using Progress = std::function<void(std::uint64_t leaves, std::uint64_t all)>;

class LogCheck {
 public:
  // Everything outlives *this.
  LogCheck(const tlog::Source& source, tlog::Checkpoint checkpoint, Verdict& verdict, History& history);

  // `held`: of this log. The part from the leaf `from` on is read; 0, or the size of one of `held`. Errors: the source
  // could not be read; whatever was found is in the verdict.
  Result<void> run(std::uint64_t from, std::vector<Held> held, unsigned threads, const Progress& progress);

 private:
  struct Read {
    Bundle bundle;
    Facts facts;
    std::vector<Breach> breaches;
    bool entries_missing = false;
  };
  Read read(std::uint64_t index, std::uint64_t from);
  void read_entries(Read& out, std::uint64_t from);
  void read_tile(Read& out);
  void fail(const Error& error);
  void take(Tree& tree, Read read);
  void compare_held(const Tree& tree, std::uint64_t end);
  Result<void> compare_left(std::uint64_t from);
  void compare_root(const Tree& tree);

  const tlog::Source& source_;
  const tlog::Checkpoint checkpoint_;
  Verdict& verdict_;
  History& history_;
  std::vector<Held> held_;                     // not compared yet, by size
  std::optional<std::uint64_t> missing_from_;  // bundle
  std::atomic<bool> failed_{false};
  std::mutex error_mutex_;
  std::optional<Error> error_;
};

}  // namespace avseal::audit
