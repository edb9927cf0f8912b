#include "tokens/jws.hpp"

#include "tokens/base64.hpp"

namespace avseal::tokens {
namespace {

Error malformed(std::string detail) {
  return errors::make(Category::bad_request, "jws-malformed", std::move(detail));
}

Result<std::string> decode_part(std::string_view text, const char* name) {
  if (text.empty()) return malformed(std::string("expected three parts, found the ") + name + " empty");
  auto bytes = base64url_decode(text);
  if (!bytes) return malformed(std::string("in the ") + name + ": " + bytes.error().detail);
  return std::string(as_text(*bytes));
}

Result<json::value> decode_json(std::string_view text, const char* name) {
  auto value = parse_json(text);
  if (!value) return malformed(std::string("in the ") + name + ": " + value.error().detail);
  return std::move(*value);
}

}  // namespace

Result<Jws> parse_jws(std::string_view compact, std::size_t max_size) {
  if (compact.size() > max_size) {
    return errors::make(
        Category::too_large, "jws-too-large",
        "expected a JWS of at most " + std::to_string(max_size) + " bytes, found " + std::to_string(compact.size()));
  }
  const std::size_t first = compact.find('.');
  const std::size_t second = first == std::string_view::npos ? first : compact.find('.', first + 1);
  if (second == std::string_view::npos || compact.find('.', second + 1) != std::string_view::npos) {
    return malformed("expected three parts with dots between them (compact serialization), found another number");
  }
  Jws jws;
  AVSEAL_TRY(jws.header_text, decode_part(compact.substr(0, first), "header"));
  AVSEAL_TRY(jws.payload_text, decode_part(compact.substr(first + 1, second - first - 1), "payload"));
  AVSEAL_TRY(const std::string signature, decode_part(compact.substr(second + 1), "signature"));
  jws.signature.assign(signature.begin(), signature.end());
  jws.signing_input = compact.substr(0, second);

  AVSEAL_TRY(auto header, decode_json(jws.header_text, "header"));
  if (!header.is_object()) return malformed("expected a JSON object as header, found another value");
  jws.header = std::move(header.get_object());
  AVSEAL_TRY(jws.payload, decode_json(jws.payload_text, "payload"));

  const auto* alg = jws.header.if_contains("alg");
  if (alg == nullptr || !alg->is_string()) return malformed("expected a header member alg that is a string");
  // Nothing critical is understood here, and a key inside the object proves nothing (TS 33.210 clause 6.3.3).
  for (const char* name : {"crit", "b64", "jwk"}) {
    if (jws.header.contains(name)) return malformed(std::string("expected no header member ") + name + ", found one");
  }
  return jws;
}

std::string jws_signing_input(const json::object& header, const json::object& claims) {
  return base64url_encode(as_bytes(canonical_json(header))) + "." + base64url_encode(as_bytes(canonical_json(claims)));
}

std::string jws_assemble(std::string_view signing_input, ByteView raw_signature) {
  return std::string(signing_input) + "." + base64url_encode(raw_signature);
}

Result<void> verify_jws(const Jws& jws, const PublicKey& key) {
  const json::string& alg = jws.header.at("alg").as_string();
  if (std::string_view(alg) != to_string(key.algorithm())) {
    return errors::make(Category::invalid, "algorithm-mismatch",
                        "expected alg " + std::string(to_string(key.algorithm())) + " as of the key, found another",
                        "/alg");
  }
  return key.verify(as_bytes(jws.signing_input), jws.signature);
}

}  // namespace avseal::tokens
