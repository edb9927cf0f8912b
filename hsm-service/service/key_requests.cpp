#include "service/key_requests.hpp"

#include <algorithm>

#include "tokens/digest.hpp"
#include "tokens/free_text.hpp"
#include "tokens/json.hpp"

namespace avseal::service {
namespace {

namespace json = boost::json;
using tokens::ObjectReader;

constexpr std::size_t max_members = 16;
constexpr std::size_t max_text = 256;
constexpr std::size_t max_name = 64;

Error invalid(std::string_view reason, std::string detail, std::string param) {
  return errors::make(Category::invalid, reason, std::move(detail), std::move(param));
}

bool is_line(std::string_view text) {
  return text.size() <= max_text && std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c <= '~'; });
}

// Lower-case words, as "key.import-certificate" or "hsm-error".
bool is_name(std::string_view text) {
  const auto fits = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.'; };
  return !text.empty() && text.size() <= max_name && std::all_of(text.begin(), text.end(), fits);
}

Result<json::object> read_facts(ObjectReader& body, std::string_view name) {
  AVSEAL_TRY(const auto facts, body.object(name));
  const auto& members = facts.raw();
  bool small = members.size() <= max_members;
  for (const auto& [key, value] : members) {
    const auto* text = value.if_string();
    small = small && is_line(key) && (value.is_int64() || (text != nullptr && is_line(*text)));
  }
  if (!small) {
    return invalid("act-facts", "expected at most 16 members, each an integer or 256 printable ASCII characters",
                   body.pointer_to(name));
  }
  return members;
}

Result<ledger::Act> read_act(ObjectReader& body) {
  ledger::Act act;
  AVSEAL_TRY(const auto name, body.string("act"));
  if (!is_name(name)) return invalid("act-name", "expected a name such as key.generate", body.pointer_to("act"));
  act.name = name;
  AVSEAL_TRY(act.object, read_facts(body, "object"));
  AVSEAL_TRY(act.terminal, read_facts(body, "terminal"));
  return act;
}

}  // namespace

Result<KeyChange> parse_key_change(std::string name, std::string_view text) {
  AVSEAL_TRY(const auto document, tokens::parse_json(text));
  AVSEAL_TRY(auto body, ObjectReader::open(document));
  KeyChange change;
  change.name = std::move(name);
  AVSEAL_TRY(const auto state, body.string("state"));
  const auto to = store::parse_key_state(state);
  if (!to || *to == KeyState::verifying) {
    return invalid("key-state-invalid", "expected staged, active or retired", body.pointer_to("state"));
  }
  change.to = *to;
  AVSEAL_TRY(const auto force, body.optional_string("force"));
  const bool forceable = !force || (change.to == KeyState::retired && !force->empty() && is_line(*force) &&
                                    !tokens::names_identity(*force));
  if (!forceable) {
    return invalid("force-invalid",
                   "expected a reason of 1 to 256 printable ASCII characters that name no identity, with retired only",
                   body.pointer_to("force"));
  }
  if (force) change.reason = *force;
  AVSEAL_CHECK(body.finish());
  return change;
}

Result<ledger::Act> parse_act(std::string_view text) {
  AVSEAL_TRY(const auto document, tokens::parse_json(text));
  AVSEAL_TRY(auto body, ObjectReader::open(document));
  AVSEAL_TRY(auto act, read_act(body));
  AVSEAL_CHECK(body.finish());
  act.id = tokens::random_uuid();
  return act;
}

Result<ActOutcome> parse_act_outcome(std::string id, std::string_view text) {
  if (!tokens::is_uuid(id)) return invalid("act-id", "expected the UUID that the begun act was given", "{id}");
  AVSEAL_TRY(const auto document, tokens::parse_json(text));
  AVSEAL_TRY(auto body, ObjectReader::open(document));
  ActOutcome out;
  AVSEAL_TRY(out.act, read_act(body));
  out.act.id = std::move(id);
  AVSEAL_TRY(const auto outcome, body.string("outcome"));
  out.done = outcome == "done";
  if (!out.done && outcome != "failed") {
    return invalid("act-outcome", "expected done or failed", body.pointer_to("outcome"));
  }
  if (out.done) {
    AVSEAL_TRY(out.result, read_facts(body, "result"));
  } else {
    AVSEAL_TRY(const auto reason, body.string("reason"));
    if (!is_name(reason)) return invalid("act-reason", "expected a reason code", body.pointer_to("reason"));
    out.reason = reason;
  }
  AVSEAL_CHECK(body.finish());
  return out;
}

}  // namespace avseal::service
