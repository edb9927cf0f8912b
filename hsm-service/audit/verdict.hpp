// What an audit found, bounded: of each kind of finding the first few, then only how many more.
#pragma once

#include <map>

#include "findings/finding.hpp"

namespace avseal::audit {

// What a log promises: a stable code, the promise in words, and what to do where it is broken.
struct Rule {
  std::string_view id;
  std::string_view expected;
  std::string_view action;
};

struct Breach {
  const Rule* rule;
  std::string place;  // "leaf 17", "tile/1/000", a checkpoint's file, a segment
  std::string found;
};

class Verdict {
 public:
  static constexpr std::size_t max_of_a_kind = 16;

  void broken(const Rule& rule, std::string place, std::string found);
  void broken(Breach breach) { broken(*breach.rule, std::move(breach.place), std::move(breach.found)); }
  void note(std::string id, std::string place, std::string found, std::string action = {});
  void ok(std::string id, std::string place, std::string found);

  [[nodiscard]] bool good() const { return counts_.empty(); }
  [[nodiscard]] std::size_t count(const Rule& rule) const;
  [[nodiscard]] doctor::Findings findings() const;  // with a line for what was left out of each kind

 private:
  doctor::Findings findings_;
  std::map<std::string_view, std::size_t> counts_;  // of breaches, by rule
};

}  // namespace avseal::audit
