// What a running node says of itself.
#include <fmt/format.h>

#include "cli/doctor/checks.hpp"
#include "tokens/json.hpp"

namespace avseal::doctor {
namespace {

using boost::json::object;

constexpr const char* path = "/readyz?deep=true";

std::string text_of(const object& entry, std::string_view member) {
  const auto* value = entry.if_contains(member);
  return value != nullptr && value->is_string() ? std::string(value->as_string()) : std::string();
}

bool is(const object& entry, std::string_view member, bool wanted) {
  const auto* value = entry.if_contains(member);
  return value != nullptr && value->is_bool() && value->as_bool() == wanted;
}

// Calls what with each object of the array.
template <class What>
void for_each(const object& body, std::string_view member, What what) {
  const auto* value = body.if_contains(member);
  if (value == nullptr || !value->is_array()) return;
  for (const auto& entry : value->as_array()) {
    if (entry.is_object()) what(entry.as_object());
  }
}

void unready(const std::string& subject, const object& entry, Findings& findings) {
  const auto why = text_of(entry, "why");
  findings.error("not-ready", subject, why.empty() ? "not ready, and no reason given" : why, "ready",
                 "see avseald's log");
}

void read_keys(const object& body, Findings& findings) {
  for_each(body, "keys", [&findings](const object& key) {
    const auto subject = "key " + text_of(key, "name");
    const auto why = text_of(key, "why");
    if (is(key, "ready", false)) {
      unready(subject, key, findings);
    } else if (!why.empty()) {
      findings.warning("not-ready-everywhere", subject, why, "a key that signs on every token that holds it",
                       "see what ails the token, before the others fail too");
    } else {
      findings.ok("readyz", subject, "ready");
    }
  });
}

void read_tokens(const object& body, Findings& findings) {
  for_each(body, "tokens", [&findings](const object& token) {
    const auto subject = "token " + text_of(token, "name");
    if (text_of(token, "state") == "drained") {
      findings.warning("token-drained", subject, "an operator drained it", "every token at work",
                       "`avseal token resume` when it is looked after");
    } else if (is(token, "connected", false)) {
      const auto error = text_of(token, "last_error");
      findings.warning("token-disconnected", subject, error.empty() ? "no worker is connected" : error,
                       "at least one worker that answers", "see the workers' logs, and that the HSM is reachable");
    } else {
      findings.ok("readyz", subject, "at work");
    }
  });
}

}  // namespace

void check_ready(const cli::OperatorClient& node, Findings& findings) {
  const auto url = node.url + path;
  const auto answer = node.ask(http::Method::get, path);
  const auto body = answer ? tokens::parse_json(answer->body) : Result<boost::json::value>(answer.error());
  const bool told = body && body->is_object() && body->as_object().contains("ready");
  if (!told) {
    findings.error("readyz-unreachable", url, answer ? fmt::format("status {}", answer->status) : answer.error().detail,
                   "status 200, or 503 with what is not ready",
                   "--cert must be an operator's or auditor's certificate; see avseald's log");
    return;
  }
  read_keys(body->as_object(), findings);
  read_tokens(body->as_object(), findings);
  for (const auto& [name, value] : body->as_object()) {
    if (value.is_object() && is(value.as_object(), "ready", false))
      unready(std::string(name), value.as_object(), findings);
  }
}

}  // namespace avseal::doctor
