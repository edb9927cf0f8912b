#include "enrollment/device_requests.hpp"

#include <array>
#include <charconv>

#include <fmt/format.h>

#include "enrollment/attested_requests.hpp"
#include "tokens/base64.hpp"
#include "tokens/free_text.hpp"
#include "tokens/json.hpp"

namespace avseal::enrollment {
namespace {

constexpr std::size_t max_text = 200;
constexpr std::int64_t max_page = 500;

Error invalid(std::string_view reason, std::string detail, std::string param) {
  return errors::make(Category::invalid, reason, std::move(detail), std::move(param));
}

Result<std::string> read_text(tokens::ObjectReader& reader, std::string_view name, std::string_view reason) {
  AVSEAL_TRY(const auto text, reader.string(name));
  if (text.empty() || text.size() > max_text) {
    return invalid(reason, fmt::format("expected 1 to {} bytes", max_text), reader.pointer_to(name));
  }
  return std::string(text);
}

// It goes into the ledger.
Result<std::string> read_reason(tokens::ObjectReader& reader, std::string_view reason) {
  AVSEAL_TRY(auto text, read_text(reader, "reason", reason));
  if (tokens::names_identity(text)) {
    return invalid(reason, "expected a reason without an identity or telephone number: the log keeps it",
                   reader.pointer_to("reason"));
  }
  return text;
}

Result<std::int64_t> parse_limit(std::string_view text) {
  std::int64_t value = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), value);
  if (read.ec != std::errc{} || read.ptr != text.data() + text.size() || value < 1 || value > max_page) {
    return invalid("query-invalid", fmt::format("expected 1 to {}", max_page), "query limit");
  }
  return value;
}

}  // namespace

Result<store::DeviceQuery> parse_device_query(const std::map<std::string, std::string>& query) {
  store::DeviceQuery out;
  for (const auto& [name, value] : query) {
    if (name == "state") {
      out.state = store::parse_device_state(value);
      if (!out.state) return invalid("query-invalid", "expected pending, active or revoked", "query state");
    } else if (name == "batch") {
      out.batch = value;
    } else if (name == "model") {
      out.model = value;
    } else if (name == "after") {
      if (!is_device_id(value)) return invalid("query-invalid", "expected the id of a device", "query after");
      out.after = value;
    } else if (name == "limit") {
      AVSEAL_TRY(out.limit, parse_limit(value));
    } else {
      return invalid("query-invalid", "expected state, batch, model, after or limit", "query " + name);
    }
  }
  return out;
}

Result<std::string> parse_reason(std::string_view body, bool required) {
  AVSEAL_TRY(const auto document, tokens::parse_json(body));
  AVSEAL_TRY(auto reader, tokens::ObjectReader::open(document));
  std::string reason;
  if (required || reader.has("reason")) {
    AVSEAL_TRY(reason, read_reason(reader, "reason-invalid"));
  }
  AVSEAL_CHECK(reader.finish());
  return reason;
}

Result<store::DeviceRevocation> parse_revocation(std::string_view body) {
  using store::RevocationCause;
  AVSEAL_TRY(const auto document, tokens::parse_json(body));
  AVSEAL_TRY(auto reader, tokens::ObjectReader::open(document));
  store::DeviceRevocation out;
  int found = 0;
  for (const auto kind : {RevocationCause::batch, RevocationCause::model, RevocationCause::firmware}) {
    const auto name = to_string(kind);
    if (!reader.has(name)) continue;
    ++found;
    out.kind = kind;
    AVSEAL_TRY(out.value, read_text(reader, name, "revocation-invalid"));
  }
  if (found != 1) return invalid("revocation-invalid", "expected exactly one of batch, model and firmware", "");
  if (reader.has("scope")) {
    AVSEAL_TRY(out.scope, read_text(reader, "scope", "revocation-invalid"));
  }
  AVSEAL_TRY(out.reason, read_reason(reader, "revocation-invalid"));
  AVSEAL_CHECK(reader.finish());
  return out;
}

Result<SignedManifest> parse_manifest_request(std::string_view body) {
  AVSEAL_TRY(const auto document, tokens::parse_json(body, {.size = max_manifest_body, .depth = 2}));
  AVSEAL_TRY(auto reader, tokens::ObjectReader::open(document));
  AVSEAL_TRY(const auto text, reader.string("document"));
  AVSEAL_TRY(const auto signature, reader.string("signature"));
  AVSEAL_CHECK(reader.finish());
  auto bytes = tokens::base64url_decode(signature);
  if (!bytes) return invalid("document-signature", "expected base64url without padding", "/signature");
  return SignedManifest{std::string(text), std::move(*bytes)};
}

}  // namespace avseal::enrollment
