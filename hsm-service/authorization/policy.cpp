#include "authorization/policy.hpp"

#include <algorithm>
#include <array>
#include <fstream>
#include <set>
#include <sstream>

#include <fmt/format.h>
#include <toml++/toml.h>

namespace avseal::authorization {
namespace {

constexpr std::size_t max_policy_bytes = 1 << 20;

Error unreadable(std::string_view name, const toml::source_region& where, std::string_view what) {
  return errors::make(Category::internal, "policy-unreadable", fmt::format("{}:{}: {}", name, where.begin.line, what));
}

bool listed(const std::optional<std::vector<std::string>>& list, std::string_view value) {
  return !list || std::find(list->begin(), list->end(), value) != list->end();
}

bool avatar_listed(const std::optional<std::vector<std::string>>& list, std::string_view id) {
  if (!list) return true;
  return std::any_of(list->begin(), list->end(), [&](std::string_view pattern) {
    return pattern.ends_with('*') ? id.starts_with(pattern.substr(0, pattern.size() - 1)) : id == pattern;
  });
}

// Reads one [[rule]] table, remembering where errors are.
class RuleReader {
 public:
  RuleReader(const toml::table& table, std::string_view name) : table_(table), name_(name) {}

  Result<PolicyRule> read() {
    static const std::set<std::string_view> known{"name",  "effect", "domains", "avatars", "applications",
                                                  "xr_as", "from",   "until",   "daily"};
    for (const auto& [key, value] : table_) {
      if (!known.contains(key.str())) {
        return unreadable(name_, key.source(), fmt::format("unknown member '{}' in [[rule]]", key.str()));
      }
    }
    PolicyRule rule;
    AVSEAL_TRY(rule.name, text("name"));
    AVSEAL_TRY(const auto effect, text("effect"));
    if (effect != "allow" && effect != "deny") {
      return unreadable(name_, table_["effect"].node()->source(), "effect must be \"allow\" or \"deny\"");
    }
    rule.allow = effect == "allow";
    AVSEAL_TRY(rule.domains, texts("domains"));
    AVSEAL_TRY(rule.avatars, texts("avatars"));
    AVSEAL_TRY(rule.applications, texts("applications"));
    AVSEAL_TRY(rule.xr_as, texts("xr_as"));
    AVSEAL_TRY(rule.from, time("from"));
    AVSEAL_TRY(rule.until, time("until"));
    AVSEAL_TRY(rule.daily, daily());
    return rule;
  }

 private:
  Result<std::string> text(std::string_view key) {
    const auto value = table_[key].value<std::string>();
    if (!value || value->empty()) {
      return unreadable(name_, table_.source(), fmt::format("[[rule]] needs '{}', a non-empty string", key));
    }
    return *value;
  }

  Result<std::optional<std::vector<std::string>>> texts(std::string_view key) {
    const auto* node = table_.get(key);
    if (node == nullptr) return std::optional<std::vector<std::string>>{};
    const auto* array = node->as_array();
    if (array == nullptr || array->empty()) {
      return unreadable(name_, node->source(),
                        fmt::format("'{}' must be a non-empty list; leave it out to match everything", key));
    }
    std::vector<std::string> out;
    for (const auto& element : *array) {
      const auto value = element.value<std::string>();
      if (!value || value->empty())
        return unreadable(name_, element.source(), fmt::format("'{}' must hold non-empty strings", key));
      out.push_back(*value);
    }
    return std::optional{std::move(out)};
  }

  Result<std::optional<UnixSeconds>> time(std::string_view key) {
    const auto* node = table_.get(key);
    if (node == nullptr) return std::optional<UnixSeconds>{};
    const auto value = node->value_exact<toml::date_time>();
    if (!value || !value->offset) {
      return unreadable(name_, node->source(),
                        fmt::format("'{}' must be a date-time with offset, as 2026-01-31T08:00:00Z", key));
    }
    using namespace std::chrono;
    const auto days = sys_days{year{value->date.year} / month{value->date.month} / day{value->date.day}};
    const auto instant = days + hours{value->time.hour} + minutes{value->time.minute} + seconds{value->time.second} -
                         minutes{value->offset->minutes};
    return std::optional<UnixSeconds>{duration_cast<seconds>(instant.time_since_epoch()).count()};
  }

  Result<std::optional<std::pair<int, int>>> daily() {
    const auto* node = table_.get("daily");
    if (node == nullptr) return std::optional<std::pair<int, int>>{};
    const auto value = node->value<std::string>().value_or("");
    const auto minute_of_day = [](std::string_view text) -> int {
      const auto digit = [&](std::size_t i) { return text[i] >= '0' && text[i] <= '9' ? text[i] - '0' : 100; };
      if (text.size() != 5 || text[2] != ':') return -1;
      const int hour = digit(0) * 10 + digit(1);
      const int minute = digit(3) * 10 + digit(4);
      return hour > 23 || minute > 59 ? -1 : hour * 60 + minute;
    };
    const auto first = value.size() == 11 ? minute_of_day(std::string_view(value).substr(0, 5)) : -1;
    const auto second = value.size() == 11 ? minute_of_day(std::string_view(value).substr(6)) : -1;
    if (first < 0 || second < 0 || first == second || value[5] != '-') {
      return unreadable(name_, node->source(), "'daily' must be two different UTC times, as \"08:00-18:00\"");
    }
    return std::optional{std::pair{first, second}};
  }

  const toml::table& table_;
  std::string_view name_;
};

}  // namespace

bool PolicyRule::matches(const PolicyQuestion& question) const {
  const auto domain = question.impu.is_tel() ? std::string_view("tel") : question.impu.host();
  if (!listed(domains, domain) || !avatar_listed(avatars, question.avatar_id) ||
      !listed(applications, question.application) || !listed(xr_as, question.xr_as_id)) {
    return false;
  }
  if ((from && question.time < *from) || (until && question.time >= *until)) return false;
  if (!daily) return true;
  const auto minute = static_cast<int>(((question.time % 86400) + 86400) % 86400 / 60);
  const auto [first, second] = *daily;
  return first < second ? minute >= first && minute < second : minute >= first || minute < second;
}

Result<Policy> Policy::load(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  std::ostringstream text;
  if (!in || !(text << in.rdbuf())) {
    return errors::make(Category::internal, "policy-unreadable",
                        fmt::format("{}: cannot be read; expected the authorization policy", file.string()));
  }
  return parse(text.str(), file.string());
}

Result<Policy> Policy::parse(std::string_view toml, std::string_view name) {
  if (toml.size() > max_policy_bytes) {
    return errors::make(Category::internal, "policy-unreadable",
                        fmt::format("{}: larger than {} bytes", name, max_policy_bytes));
  }
  toml::table root;
  try {
    root = toml::parse(toml, name);
  } catch (const toml::parse_error& e) {
    return unreadable(name, e.source(), e.description());
  }
  for (const auto& [key, value] : root) {
    if (key.str() != "version" && key.str() != "rule") {
      return unreadable(name, key.source(),
                        fmt::format("unknown member '{}'; expected version and [[rule]]", key.str()));
    }
  }
  if (root["version"].value_exact<std::int64_t>() != 1) return unreadable(name, root.source(), "expected version = 1");
  Policy policy;
  const auto* rules = root["rule"].as_array();
  if (rules == nullptr) {
    if (root.contains("rule")) return unreadable(name, root["rule"].node()->source(), "rules are written [[rule]]");
    return policy;
  }
  for (const auto& element : *rules) {
    const auto* table = element.as_table();
    if (table == nullptr) return unreadable(name, element.source(), "rules are written [[rule]]");
    AVSEAL_TRY(auto rule, RuleReader(*table, name).read());
    policy.rules_.push_back(std::move(rule));
  }
  return policy;
}

Result<void> Policy::decide(const PolicyQuestion& question) const {
  const PolicyRule* allowed = nullptr;
  for (const auto& rule : rules_) {
    if (!rule.matches(question)) continue;
    if (!rule.allow) {
      return errors::make(Category::forbidden, "policy-denied", fmt::format("rule '{}' denies this grant", rule.name));
    }
    if (allowed == nullptr) allowed = &rule;
  }
  if (allowed == nullptr) {
    return errors::make(
        Category::forbidden, "policy-no-rule",
        "no rule of the authorization policy allows this identity, avatar, application and XR AS at this time");
  }
  return {};
}

}  // namespace avseal::authorization
