#include "tests/faults/module/rules.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <csignal>
#include <optional>

namespace avseal::faults {

namespace {

constexpr std::size_t max_rules = 256;
constexpr std::size_t max_name = 64;
constexpr double max_ms = 600'000;

struct Form {
  std::string_view name;
  Effect effect;
  std::string_view required;  // keys, besides token, serial and until
  std::string_view optional;
  CK_RV code;  // unless code= says otherwise
};

constexpr std::array forms = {
    Form{"return", Effect::return_code, "function code", "forwarded times probability seed", CKR_OK},
    Form{"delay", Effect::delay, "function ms", "times probability seed", CKR_OK},
    Form{"hang", Effect::hang, "function", "times probability seed", CKR_OK},
    Form{"crash", Effect::crash, "function", "signal times probability seed", CKR_OK},
    Form{"latency", Effect::latency, "function ms parallel", "times probability seed", CKR_OK},
    Form{"signature", Effect::signature, "form", "times probability seed", CKR_OK},
    Form{"removed", Effect::removed, "", "code", CKR_DEVICE_REMOVED},
    Form{"slots", Effect::slots, "shift", "", CKR_OK},
    Form{"pin-flags", Effect::pin_flags, "flags", "", CKR_OK},
    Form{"session-limit", Effect::session_limit, "max", "code", CKR_SESSION_COUNT},
    Form{"read-only-refused", Effect::read_only_refused, "", "code", CKR_FUNCTION_FAILED},
    Form{"no-locking", Effect::no_locking, "", "", CKR_OK},
    Form{"no-mechanism", Effect::no_mechanism, "mechanism", "", CKR_OK},
    Form{"hashing-ecdsa", Effect::hashing_ecdsa, "", "", CKR_OK},
    Form{"ec-point", Effect::ec_point, "form", "", CKR_OK},
    Form{"idle-timeout", Effect::idle_timeout, "ms", "", CKR_OK},
    Form{"record-uses", Effect::record_uses, "", "", CKR_OK},
    Form{"invalidate-sessions", Effect::invalidate_sessions, "", "", CKR_OK},
    Form{"logout", Effect::logout, "", "", CKR_OK},
    Form{"swap-objects", Effect::swap_objects, "", "", CKR_OK},
    Form{"renumber-objects", Effect::renumber_objects, "", "", CKR_OK},
};

// Takes the text up to the separator off the front.
std::string_view take(std::string_view& text, char separator) {
  const std::size_t end = std::min(text.find(separator), text.size());
  const std::string_view part = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return part;
}

bool contains(std::string_view words, std::string_view word) {
  while (!words.empty()) {
    if (take(words, ' ') == word) return true;
  }
  return false;
}

template <class Number>
std::optional<Number> number(std::string_view text) {
  Number value{};
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failed != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

template <class Value, std::size_t Size>
std::optional<Value> one_of(const std::array<std::pair<std::string_view, Value>, Size>& choices,
                            std::string_view text) {
  for (const auto& [name, value] : choices) {
    if (name == text) return value;
  }
  return std::nullopt;
}

constexpr std::array<std::pair<std::string_view, SignatureForm>, 5> signature_forms = {
    {{"short", SignatureForm::too_short},
     {"long", SignatureForm::too_long},
     {"flipped", SignatureForm::flipped},
     {"der", SignatureForm::der},
     {"other-key", SignatureForm::other_key}}};
constexpr std::array<std::pair<std::string_view, PointForm>, 3> point_forms = {
    {{"der", PointForm::der}, {"raw", PointForm::raw}, {"bit-string", PointForm::bit_string}}};
constexpr std::array<std::pair<std::string_view, int>, 2> signals = {{{"SEGV", SIGSEGV}, {"ABRT", SIGABRT}}};
constexpr std::array<std::pair<std::string_view, CK_FLAGS>, 3> pin_flags = {
    {{"COUNT_LOW", CKF_USER_PIN_COUNT_LOW}, {"FINAL_TRY", CKF_USER_PIN_FINAL_TRY}, {"LOCKED", CKF_USER_PIN_LOCKED}}};

// Puts a value into the rule's member; false: it is not acceptable, and `expected` says what is.
template <class Value, class Member>
bool put(const std::optional<Value>& value, Member& member) {
  if (value) member = static_cast<Member>(*value);
  return value.has_value();
}

bool set_functions(Rule& rule, std::string_view value) {
  if (value == "*") {
    rule.functions.set();
    return true;
  }
  do {
    const auto function = parse_function(take(value, ','));
    if (!function) return false;
    rule.functions.set(static_cast<std::size_t>(*function));
  } while (!value.empty());
  return true;
}

bool set_mechanisms(Rule& rule, std::string_view value) {
  do {
    const auto mechanism = parse_mechanism(take(value, ','));
    if (!mechanism) return false;
    rule.mechanisms.push_back(*mechanism);
  } while (!value.empty());
  return true;
}

bool set_flags(Rule& rule, std::string_view value) {
  do {
    const auto flag = one_of(pin_flags, take(value, ','));
    if (!flag) return false;
    rule.flags |= *flag;
  } while (!value.empty());
  return true;
}

bool set_duration(Rule& rule, std::string_view value) {
  const auto ms = number<double>(value);
  if (!ms || !(*ms >= 0 && *ms <= max_ms)) return false;
  rule.duration = std::chrono::microseconds(std::llround(*ms * 1000));
  return true;
}

bool set_text(std::string& member, std::string_view value) {
  member = value;
  return !value.empty();
}

bool set_probability(Rule& rule, std::string_view value) {
  return put(number<double>(value), rule.probability) && rule.probability >= 0 && rule.probability <= 1;
}

bool set_until(Rule& rule, std::string_view value) {
  const auto ms = number<std::uint64_t>(value);
  constexpr std::uint64_t most = 1ULL << 53;
  if (!ms || *ms > most) return false;
  rule.until = std::chrono::milliseconds(static_cast<std::int64_t>(*ms));
  return true;
}

struct Key {
  std::string_view name;
  std::string_view expected;
  bool (*set)(Rule&, std::string_view);
};

const std::array keys = {
    Key{"token", "a label", [](Rule& rule, std::string_view value) { return set_text(rule.token, value); }},
    Key{"serial", "a serial number", [](Rule& rule, std::string_view value) { return set_text(rule.serial, value); }},
    Key{"until", "a Unix time in milliseconds", set_until},
    Key{"function", "* or names of PKCS#11 functions", set_functions},
    Key{"times", "a number from 1 to 10000",
        [](Rule& rule, std::string_view value) {
          return put(number<std::uint32_t>(value), rule.times) && rule.times >= 1 && rule.times <= 10'000;
        }},
    Key{"probability", "a number from 0 to 1", set_probability},
    Key{"seed", "a number",
        [](Rule& rule, std::string_view value) { return put(number<std::uint64_t>(value), rule.seed); }},
    Key{"code", "a CKR_ name or a number",
        [](Rule& rule, std::string_view value) { return put(parse_code(value), rule.code); }},
    Key{"forwarded", "yes", [](Rule& rule, std::string_view value) { return rule.forwarded = value == "yes"; }},
    Key{"ms", "milliseconds, at most 600000", set_duration},
    Key{"parallel", "a number from 1 to 1024",
        [](Rule& rule, std::string_view value) {
          return put(number<std::uint32_t>(value), rule.number) && rule.number >= 1 && rule.number <= 1024;
        }},
    Key{"max", "a number",
        [](Rule& rule, std::string_view value) { return put(number<std::uint32_t>(value), rule.number); }},
    Key{"shift", "a number",
        [](Rule& rule, std::string_view value) { return put(number<std::uint32_t>(value), rule.number); }},
    Key{"signal", "SEGV or ABRT",
        [](Rule& rule, std::string_view value) { return put(one_of(signals, value), rule.signal); }},
    Key{"flags", "COUNT_LOW, FINAL_TRY, LOCKED", set_flags},
    Key{"mechanism", "CKM_ names or numbers", set_mechanisms},
    Key{"form", "short, long, flipped, der or other-key of signatures; der, raw or bit-string of points",
        [](Rule& rule, std::string_view value) {
          return rule.effect == Effect::signature ? put(one_of(signature_forms, value), rule.signature)
                                                  : put(one_of(point_forms, value), rule.point);
        }},
};

using Fault = std::optional<std::string>;  // what is wrong with a line

Fault read_name(std::string_view name, Rule& rule) {
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
           c == '-';
  };
  if (name.empty() || name.size() > max_name || name.front() == '.' ||
      !std::all_of(name.begin(), name.end(), allowed)) {
    return "expected a name of at most 64 letters, digits, '.', '_' and '-', found \"" + std::string(name) + "\"";
  }
  rule.name = name;
  return std::nullopt;
}

Fault read_member(std::string_view word, const Form& form, std::string& seen, Rule& rule) {
  const std::string_view name = take(word, '=');
  const auto* const key = std::find_if(keys.begin(), keys.end(), [name](const Key& k) { return k.name == name; });
  if (key == keys.end() ||
      !(contains("token serial until", name) || contains(form.required, name) || contains(form.optional, name))) {
    return std::string(form.name) + " takes no \"" + std::string(name) + "\"";
  }
  if (contains(seen, name)) return std::string(name) + " is given twice";
  seen.append(name).append(" ");
  if (key->set(rule, word)) return std::nullopt;
  return std::string(name) + ": expected " + std::string(key->expected) + ", found \"" + std::string(word) + "\"";
}

Fault read_rule(std::string_view line, Rule& rule) {
  if (Fault fault = read_name(take(line, ' '), rule)) return fault;
  const std::string_view effect = take(line, ' ');
  const auto* const form =
      std::find_if(forms.begin(), forms.end(), [effect](const Form& f) { return f.name == effect; });
  if (form == forms.end()) return "\"" + std::string(effect) + "\" is no effect";
  rule.effect = form->effect;
  rule.code = form->code;
  rule.signal = SIGSEGV;
  if (rule.effect == Effect::signature) rule.functions.set(static_cast<std::size_t>(Function::C_Sign));
  std::string seen;
  while (!line.empty()) {
    const std::string_view word = take(line, ' ');
    if (word.empty()) continue;
    if (Fault fault = read_member(word, *form, seen, rule)) return fault;
  }
  for (std::string_view required = form->required; !required.empty();) {
    const std::string_view name = take(required, ' ');
    if (!contains(seen, name)) return std::string(form->name) + " needs " + std::string(name) + "=";
  }
  return std::nullopt;
}

}  // namespace

Result<std::vector<Rule>> parse_rules(std::string_view text) {
  std::vector<Rule> rules;
  for (std::size_t line_number = 1; !text.empty(); ++line_number) {
    const std::string_view line = take(text, '\n');
    if (line.empty() || line.front() == '#') continue;
    Rule rule;
    Fault fault = read_rule(line, rule);
    const auto same = [&rule](const Rule& other) { return other.name == rule.name; };
    if (!fault && std::any_of(rules.begin(), rules.end(), same)) fault = "two rules are named \"" + rule.name + "\"";
    if (!fault && rules.size() == max_rules) fault = "more than 256 rules";
    if (fault) {
      return errors::make(Category::invalid, "rules-invalid", "rules:" + std::to_string(line_number) + ": " + *fault);
    }
    rules.push_back(std::move(rule));
  }
  return rules;
}

}  // namespace avseal::faults
