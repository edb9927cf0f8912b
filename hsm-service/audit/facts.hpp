// What the leaves of a bundle say that must be judged in the order of the log; found out for each bundle by itself.
#pragma once

#include <span>

#include <boost/json.hpp>

#include "audit/leaf.hpp"
#include "audit/verdict.hpp"

namespace avseal::audit {

struct Facts {
  // One key in one worker, as leaves of one kind of event use it.
  struct Use {
    std::uint32_t user = 0;  // index in users
    std::uint32_t leaf = 0;  // counted from `first`
    std::uint64_t sequence = 0;
  };
  struct User {
    std::string worker;
    std::string key;
    std::string kid;
    std::string_view kind;  // of key that the event needs for what it released; empty: none
  };
  // A leaf about the log, its workers or its keys.
  struct Act {
    std::uint32_t leaf = 0;
    std::string event;
    boost::json::object details;
  };

  std::uint64_t first = 0;
  std::vector<std::int64_t> times;  // of the leaves
  std::vector<User> users;
  std::vector<Use> uses;
  std::vector<Act> acts;
  std::vector<Breach> breaches;  // what is wrong with leaves by themselves

  [[nodiscard]] std::uint64_t end() const { return first + times.size(); }
};

// `leaf` is memory that is used again. A malformed leaf is a breach and has no facts but the time of the one before.
Facts facts_of(std::span<const ByteView> leaves, std::uint64_t first, Leaf& leaf);

}  // namespace avseal::audit
