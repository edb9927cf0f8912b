#include "http/idempotency_key.hpp"

namespace avseal::http {

namespace {

constexpr std::size_t max_key = 64;  // characters

Error invalid(std::string_view found) {
  return errors::make(
      Category::bad_request, "idempotency-key-invalid",
      "expected 1 to 64 printable ASCII characters in double quotes, as \"8e03978e-40d5\", found " + std::string(found),
      "header Idempotency-Key");
}

}  // namespace

Result<std::optional<std::string>> idempotency_key(const Request& request) {
  const auto header = request.header("idempotency-key");
  if (!header) return std::optional<std::string>();
  if (header->size() < 2 || header->front() != '"' || header->back() != '"') return invalid("no quoted string");
  const auto quoted = header->substr(1, header->size() - 2);
  std::string key;
  for (std::size_t i = 0; i < quoted.size(); ++i) {
    const bool escape = quoted[i] == '\\';
    if (escape && ++i == quoted.size()) return invalid("an unfinished escape");
    const char c = quoted[i];
    const bool special = c == '"' || c == '\\';
    if (c < ' ' || c > '~' || special != escape) return invalid("a character that must not stand there");
    key.push_back(c);
    if (key.size() > max_key) return invalid("a longer one");
  }
  if (key.empty()) return invalid("an empty one");
  return std::optional(std::move(key));
}

}  // namespace avseal::http
