#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include <boost/json.hpp>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "audit/history.hpp"
#include "tokens/json.hpp"

namespace avseal::audit::test {

inline constexpr std::string_view log_origin = "demo.example/node-1/2026";
inline constexpr std::int64_t start_time = 1'763'930'040'000;

inline std::string kid_of(std::string_view key) {
  std::string kid(key);
  kid.resize(43, '_');
  return kid;
}

inline boost::json::object use(std::string_view key, std::uint64_t sequence, std::string_view outcome = "signed",
                               std::string_view worker = "w-1") {
  return {{"digest", std::string(43, 'd')}, {"key", key},      {"kid", kid_of(key)}, {"outcome", outcome},
          {"sequence", sequence},           {"worker", worker}};
}

inline boost::json::object loaded_key(std::string_view key, std::string_view state = "active",
                                      std::string_view kind = {}) {
  return {{"key", key}, {"kid", kid_of(key)}, {"kind", kind.empty() ? key : kind}, {"state", state}};
}

// Leaves as a node writes them, one after the other.
class Log {
 public:
  std::int64_t time = start_time;

  Log& add(std::string_view event, boost::json::object details = {}, boost::json::array keys = {},
           std::string_view outcome = "released") {
    boost::json::object leaf{{"event", event}, {"index", leaves_.size()}, {"outcome", outcome}, {"time", time}};
    if (!details.empty()) leaf["details"] = std::move(details);
    if (!keys.empty()) leaf["keys"] = std::move(keys);
    return add_text(tokens::canonical_json(leaf));
  }
  Log& add_text(std::string text) {
    leaves_.push_back(std::move(text));
    time += 10;
    return *this;
  }
  Log& start() { return add("ledger.start", {{"origin", "demo.example/node-1"}}); }
  Log& loaded(boost::json::array keys) {
    return add("keys.loaded", {{"keys", std::move(keys)}, {"unlogged_limit", 100}});
  }
  // A start with the keys that the tests use.
  Log& begin() { return start().loaded({loaded_key("avatar-id"), loaded_key("access-token"), loaded_key("ledger")}); }
  Log& sign(std::uint64_t sequence, std::string_view worker = "w-1") {
    return add("sign.avatar-id", {}, {use("avatar-id", sequence, "signed", worker)});
  }
  Log& lost(std::string_view worker, std::uint64_t in_flight, boost::json::object last = {}) {
    return add("worker.lost",
               {{"in_flight", in_flight}, {"last_sequences", std::move(last)}, {"token", "hsm-a"}, {"worker", worker}});
  }
  Log& connected(std::string_view worker, boost::json::object last) {
    return add("worker.connected", {{"last_sequences", std::move(last)}, {"token", "hsm-a"}, {"worker", worker}});
  }
  Log& stop() { return add("ledger.stop"); }
  Log& wait(std::int64_t ms) {
    time += ms;
    return *this;
  }

  [[nodiscard]] std::vector<std::string>& leaves() { return leaves_; }
  [[nodiscard]] const std::vector<std::string>& leaves() const { return leaves_; }
  [[nodiscard]] std::vector<ByteView> views() const {
    std::vector<ByteView> views;
    for (const auto& leaf : leaves_) views.push_back(as_bytes(leaf));
    return views;
  }

 private:
  std::vector<std::string> leaves_;
};

inline std::vector<std::string> ids(const Verdict& verdict) {
  std::vector<std::string> out;
  const auto findings = verdict.findings();
  for (const auto& finding : findings.all()) {
    if (finding.severity != doctor::Severity::ok) out.push_back(finding.id);
  }
  return out;
}

inline std::string text_of(const Verdict& verdict) {
  std::string out;
  const auto findings = verdict.findings();
  for (const auto& finding : findings.all()) {
    out += fmt::format("{} | {} | {}\n", finding.id, finding.subject, finding.found);
  }
  return out;
}

}  // namespace avseal::audit::test
