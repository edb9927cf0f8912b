// The verdict on a node's log: all its periods that are at hand, or what came after a checkpoint.
#pragma once

#include "audit/counters.hpp"
#include "audit/log_check.hpp"
#include "audit/saved_history.hpp"
#include "audit/trust.hpp"

namespace avseal::audit {

// A checkpoint's note as the auditor keeps it, and the name of its file.
struct HeldNote {
  std::string name;
  std::string note;
};

// Hands on the leaves of the log's segments in order: those behind the `published` ones, and some before them. Errors:
// the segments are damaged, its detail says which and where; of the category `unavailable`: they cannot be read.
using SegmentSink = std::function<void(std::uint64_t index, ByteView leaf)>;
using SegmentReader = std::function<Result<void>(std::uint64_t published, const SegmentSink& sink)>;

struct VerifyOptions {
  std::vector<HeldNote> held;
  std::optional<HeldNote> since;        // only what came after it is read
  std::optional<SavedHistory> numbers;  // of the verification up to `since`: goes on from there if it is of it
  unsigned threads = 1;
  std::chrono::milliseconds patience{0};  // with the witnesses of a log that grows: see Trust::read()
  Progress progress;                      // of the log that is being read
  SegmentReader segments;                 // empty: not at hand
};

// What was looked at, for the report.
struct Verified {
  std::string origin;
  std::uint64_t size = 0;
  tlog::Hash root{};
  std::string note;             // the checkpoint
  std::uint64_t read = 0;       // leaves, of all periods
  std::uint64_t periods = 0;    // logs
  std::uint64_t uses = 0;       // of keys that were reconciled
  std::uint64_t awaiting = 0;   // leaves in segments that have no checkpoint yet
  std::int64_t first_time = 0;  // of the leaves that were read, Unix milliseconds
  std::int64_t last_time = 0;
  std::optional<std::map<std::string, KeyTotal>> totals;        // by key; nothing unless all of the log was read
  std::optional<SavedHistory> numbers;                          // of the checkpoint, for the next verification
  std::optional<std::pair<std::uint64_t, std::uint64_t>> part;  // of an export: its leaves first <= index < second
};

// Findings go to the verdict; an Error says why the log could not be judged.
Result<Verified> verify(const tlog::Source& source, const Trust& trust, const VerifyOptions& options, Verdict& verdict);

// The log of an earlier period: "closed/<year>/" of `source`, which outlives it.
std::unique_ptr<tlog::Source> closed_log(const tlog::Source& source, const std::string& year);

}  // namespace avseal::audit
