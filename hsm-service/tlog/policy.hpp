// What an auditor trusts (C2SP tlog-policy): logs, witnesses, groups and a quorum, one to a line.
//
//   log <vkey> [<url>]
//   witness <name> <vkey> [<url>]
//   group <name> <k|any|all> <member>...
//   quorum <name|none>
#pragma once

#include <optional>
#include <set>

#include "tlog/note.hpp"

namespace avseal::tlog {

struct Policy {
  struct Log {
    VerifierKey key;
    std::string url;
  };
  struct Witness {
    std::string name;
    VerifierKey key;
    std::string url;
  };
  struct Group {
    std::string name;
    std::size_t needed = 0;
    std::vector<std::string> members;  // witnesses and groups that stand above it
  };
  std::vector<Log> logs;
  std::vector<Witness> witnesses;
  std::vector<Group> groups;
  std::string quorum;  // a witness or a group; empty: none

  // Strict: each name once, members above their groups, at least one log and one quorum line. Reason
  // "policy-malformed" with the line.
  static Result<Policy> parse(std::string_view text);

  // That a log of the policy signed the note and its witnesses meet the quorum. Gives the log. Reasons
  // "note-signature-missing", "note-signature-wrong", "quorum-missed".
  [[nodiscard]] Result<const Log*> check(const Note& note) const;
};

}  // namespace avseal::tlog
