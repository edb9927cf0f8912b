#include "audit/verdict.hpp"

#include <fmt/format.h>

namespace avseal::audit {

void Verdict::broken(const Rule& rule, std::string place, std::string found) {
  if (++counts_[rule.id] > max_of_a_kind) return;
  findings_.error(std::string(rule.id), std::move(place), std::move(found), std::string(rule.expected),
                  std::string(rule.action));
}

void Verdict::note(std::string id, std::string place, std::string found, std::string action) {
  findings_.note(std::move(id), std::move(place), std::move(found), std::move(action));
}

void Verdict::ok(std::string id, std::string place, std::string found) {
  findings_.ok(std::move(id), std::move(place), std::move(found));
}

std::size_t Verdict::count(const Rule& rule) const {
  const auto found = counts_.find(rule.id);
  return found == counts_.end() ? 0 : found->second;
}

doctor::Findings Verdict::findings() const {
  auto all = findings_;
  for (const auto& [id, count] : counts_) {
    if (count <= max_of_a_kind) continue;
    all.error(std::string(id), "the log", fmt::format("{} more like this", count - max_of_a_kind), {}, {});
  }
  return all;
}

}  // namespace avseal::audit
