#include "tlog/policy.hpp"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include "tlog/errors.hpp"
#include "tlog/lines.hpp"

namespace avseal::tlog {

namespace {

constexpr std::size_t max_policy_size = 65536;
constexpr std::string_view none = "none";

std::vector<std::string_view> words_of(std::string_view line) {
  std::vector<std::string_view> words;
  while (true) {
    const auto start = line.find_first_not_of(" \t");
    if (start == std::string_view::npos) return words;
    const auto end = line.find_first_of(" \t", start);
    words.push_back(line.substr(start, end - start));
    if (end == std::string_view::npos) return words;
    line.remove_prefix(end);
  }
}

class Reader {
 public:
  Result<Policy> read(std::string_view text) {
    Lines lines(text);
    while (const auto line = lines.next()) {
      ++number_;
      const auto words = words_of(*line);
      if (words.empty() || words[0].starts_with('#')) continue;
      AVSEAL_CHECK(read_line(words));
    }
    if (policy_.logs.empty()) return malformed("expected a log line, found none");
    if (!quorum_seen_) return malformed("expected a quorum line (\"quorum none\" asks for no witness), found none");
    return std::move(policy_);
  }

 private:
  using Words = std::vector<std::string_view>;

  [[nodiscard]] Error malformed(std::string_view detail) const {
    return errors::malformed("policy-malformed", fmt::format("line {}: {}", number_, detail));
  }

  Result<void> read_line(const Words& words) {
    if (words[0] == "log") return read_log(words);
    if (words[0] == "witness") return read_witness(words);
    if (words[0] == "group") return read_group(words);
    if (words[0] == "quorum") return read_quorum(words);
    return malformed("expected log, witness, group or quorum");
  }

  Result<void> read_log(const Words& words) {
    if (words.size() < 2 || words.size() > 3) return malformed("expected log <vkey> [<url>]");
    auto key = VerifierKey::parse(words[1]);
    if (!key) return malformed(key.error().detail);
    if (key->type() == KeyType::cosignature) return malformed("expected the key of a log: type 1 or 2");
    if (!keys_.insert(key->material()).second) return malformed("expected a key that does not stand above");
    policy_.logs.push_back({std::move(*key), std::string(words.size() == 3 ? words[2] : "")});
    return {};
  }

  Result<void> read_witness(const Words& words) {
    if (words.size() < 3 || words.size() > 4) return malformed("expected witness <name> <vkey> [<url>]");
    AVSEAL_CHECK(check_new(words[1]));
    auto key = VerifierKey::parse(words[2]);
    if (!key) return malformed(key.error().detail);
    if (key->type() != KeyType::cosignature) return malformed("expected the key of a witness: type 4");
    if (!keys_.insert(key->material()).second) return malformed("expected a key that does not stand above");
    policy_.witnesses.push_back(
        {std::string(words[1]), std::move(*key), std::string(words.size() == 4 ? words[3] : "")});
    return {};
  }

  Result<void> read_group(const Words& words) {
    if (words.size() < 4) return malformed("expected group <name> <k|any|all> <member>...");
    AVSEAL_CHECK(check_new(words[1]));
    Policy::Group group;
    group.name = words[1];
    for (const auto word : std::span(words).subspan(3)) {
      if (!known(word)) return malformed("expected members that stand above the group");
      if (!members_.insert(std::string(word)).second) return malformed("expected each member in one group only");
      group.members.emplace_back(word);
    }
    if (words[2] == "any") group.needed = 1;
    if (words[2] == "all") group.needed = group.members.size();
    if (group.needed == 0) {
      const auto [end, failed] = std::from_chars(words[2].data(), words[2].data() + words[2].size(), group.needed);
      const bool number = failed == std::errc() && end == words[2].data() + words[2].size();
      if (!number || group.needed == 0 || group.needed > group.members.size()) {
        return malformed("expected any, all, or how many of the members");
      }
    }
    policy_.groups.push_back(std::move(group));
    return {};
  }

  Result<void> read_quorum(const Words& words) {
    if (words.size() != 2 || quorum_seen_) return malformed("expected one line quorum <name|none>");
    quorum_seen_ = true;
    if (words[1] == none) return {};
    if (!known(words[1])) return malformed("expected a witness or group that stands above");
    policy_.quorum = words[1];
    return {};
  }

  Result<void> check_new(std::string_view name) const {
    if (name == none || known(name)) return malformed("expected a name that is not in use");
    return {};
  }

  [[nodiscard]] bool known(std::string_view name) const {
    const auto is = [&](const auto& other) { return other.name == name; };
    return std::any_of(policy_.witnesses.begin(), policy_.witnesses.end(), is) ||
           std::any_of(policy_.groups.begin(), policy_.groups.end(), is);
  }

  Policy policy_;
  std::set<std::string> members_;
  std::set<Bytes> keys_;
  std::size_t number_ = 0;
  bool quorum_seen_ = false;
};

}  // namespace

Result<Policy> Policy::parse(std::string_view text) {
  if (text.size() > max_policy_size) return errors::malformed("policy-malformed", "expected at most 64 KiB");
  const auto control = [](char c) { return (c >= 0 && c < 0x20 && c != '\t' && c != '\n') || c == 0x7F; };
  if (std::any_of(text.begin(), text.end(), control)) {
    return errors::malformed("policy-malformed", "expected no control characters but tabs and line feeds");
  }
  return Reader().read(text);
}

Result<const Policy::Log*> Policy::check(const Note& note) const {
  std::vector<VerifierKey> keys;
  for (const auto& log : logs) keys.push_back(log.key);
  AVSEAL_TRY(const auto logs_that_signed, signers(note, keys));
  const std::string_view origin = std::string_view(note.text).substr(0, note.text.find('\n'));
  const auto of_origin = std::find_if(logs_that_signed.begin(), logs_that_signed.end(),
                                      [&](std::size_t i) { return keys[i].name() == origin; });
  if (of_origin == logs_that_signed.end()) {
    return errors::wrong("note-signature-missing", "expected a signature of the log that the first line names");
  }
  const Log* const log = &logs[*of_origin];
  if (quorum.empty()) return log;

  keys.clear();
  for (const auto& witness : witnesses) keys.push_back(witness.key);
  const auto cosigned = signers(note, keys);
  if (!cosigned && cosigned.error().reason != "note-signature-missing") return cosigned.error();
  std::set<std::string, std::less<>> met;
  if (cosigned) {
    for (const auto i : *cosigned) met.insert(witnesses[i].name);
  }
  for (const auto& group : groups) {
    const auto here = std::count_if(group.members.begin(), group.members.end(),
                                    [&](const std::string& member) { return met.contains(member); });
    if (static_cast<std::size_t>(here) >= group.needed) met.insert(group.name);
  }
  if (met.contains(quorum)) return log;
  return errors::wrong("quorum-missed",
                       fmt::format("{} of {} witnesses cosigned the checkpoint; the policy's quorum \"{}\" is not met",
                                   cosigned ? cosigned->size() : 0, witnesses.size(), quorum));
}

}  // namespace avseal::tlog
