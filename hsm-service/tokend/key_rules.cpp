#include "tokend/key_rules.hpp"

#include <algorithm>
#include <initializer_list>

#include "tlog/export_manifest.hpp"
#include "tokens/access_token.hpp"
#include "tokens/avatar_metadata.hpp"
#include "tokens/base64.hpp"
#include "tokens/certificate_request.hpp"
#include "tokens/json.hpp"

namespace avseal::tokend {

namespace {

using pkcs11::KeyKind;
namespace json = tokens::json;

Error refused(const KeyRule& rule, std::string_view what) {
  return errors::make(
      Category::forbidden, "not-of-key-kind",
      "a key of kind " + std::string(pkcs11::to_string(rule.kind)) + " does not sign this: " + std::string(what));
}

Result<json::value> decode_part(const KeyRule& rule, std::string_view part, std::string_view name) {
  const auto text = tokens::base64url_decode(part);
  if (!text) return refused(rule, "the JWS " + std::string(name) + " is no canonical base64url");
  auto value = tokens::parse_json(as_text(*text));
  if (!value || !value->is_object()) return refused(rule, "the JWS " + std::string(name) + " is no strict JSON object");
  return std::move(*value);
}

bool is_string(const json::object& header, std::string_view name, std::initializer_list<std::string_view> values) {
  const json::value* value = header.if_contains(name);
  if (value == nullptr || !value->is_string()) return false;
  const std::string_view text = value->get_string();
  return std::find(values.begin(), values.end(), text) != values.end();
}

// The header of a JWS signing input that has exactly the `members`, and the algorithm of the key.
Result<json::object> check_jws(const KeyRule& rule, ByteView input, std::initializer_list<std::string_view> members) {
  const std::string_view text = as_text(input);
  const std::size_t dot = text.find('.');
  if (dot == std::string_view::npos || text.find('.', dot + 1) != std::string_view::npos) {
    return refused(rule, "expected a JWS signing input, two base64url parts with a dot between");
  }
  AVSEAL_TRY(json::value header, decode_part(rule, text.substr(0, dot), "header"));
  AVSEAL_TRY(const json::value claims, decode_part(rule, text.substr(dot + 1), "payload"));
  if (claims.get_object().empty()) return refused(rule, "the JWS payload has no claims");
  for (const auto& member : header.get_object()) {
    if (std::find(members.begin(), members.end(), member.key()) == members.end()) {
      return refused(rule, "unexpected JWS header member");
    }
  }
  if (header.get_object().size() != members.size()) return refused(rule, "a JWS header member is missing");
  if (!is_string(header.get_object(), "alg", {tokens::to_string(rule.algorithm)})) {
    return refused(rule, "`alg` is not the key's algorithm");
  }
  return std::move(header.get_object());
}

Result<void> check_passport(const KeyRule& rule, ByteView input) {
  AVSEAL_TRY(const json::object header, check_jws(rule, input, {"alg", "ppt", "typ", "x5u"}));
  if (!is_string(header, "typ", {"passport"})) return refused(rule, "`typ` is not passport");
  if (!is_string(header, "ppt", {"avatar", "shaken", "div"}))
    return refused(rule, "`ppt` is not avatar, shaken or div");
  if (!header.at("x5u").is_string()) return refused(rule, "`x5u` is no string");
  return {};
}

Result<void> check_typ(const KeyRule& rule, ByteView input, std::string_view typ,
                       std::initializer_list<std::string_view> members) {
  AVSEAL_TRY(const json::object header, check_jws(rule, input, members));
  if (!is_string(header, "typ", {typ})) return refused(rule, "`typ` is not " + std::string(typ));
  if (!header.at("kid").is_string()) return refused(rule, "`kid` is no string");
  return {};
}

bool is_tree_size(std::string_view line) {
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  return !line.empty() && line.size() <= 18 && std::all_of(line.begin(), line.end(), digit) &&
         (line.size() == 1 || line.front() != '0');
}

bool is_root_hash(std::string_view line) {
  const auto hash = tokens::base64_decode(line);
  return hash && hash->size() == 32;
}

bool is_log_of(std::string_view line, std::string_view origin) {
  constexpr std::size_t year_size = 4;
  if (line.size() != origin.size() + 1 + year_size || !line.starts_with(origin) || line[origin.size()] != '/') {
    return false;
  }
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  return std::all_of(line.end() - year_size, line.end(), digit);
}

// C2SP tlog-checkpoint: the note's text without its signatures, every line ended by a newline.
Result<void> check_checkpoint(const KeyRule& rule, ByteView input) {
  std::string_view rest = as_text(input);
  std::size_t number = 0;
  for (; !rest.empty(); ++number) {
    const std::size_t end = rest.find('\n');
    if (end == std::string_view::npos) return refused(rule, "the note does not end with a newline");
    const std::string_view line = rest.substr(0, end);
    rest.remove_prefix(end + 1);
    if (number == 0 && !is_log_of(line, rule.origin)) {
      return refused(rule, "the note's first line is not " + rule.origin + "/<year>");
    }
    if (number == 1 && !is_tree_size(line)) return refused(rule, "the note's second line is no tree size");
    if (number == 2 && !is_root_hash(line)) return refused(rule, "the note's third line is no root hash");
  }
  if (number != 3) return refused(rule, "the note has not exactly three lines");
  return {};
}

Result<void> check_manifest(const KeyRule& rule, ByteView input) {
  const auto manifest = tlog::ExportManifest::parse(as_text(input));
  if (!manifest) return refused(rule, manifest.error().detail);
  if (!is_log_of(manifest->checkpoint.origin, rule.origin)) {
    return refused(rule, "the export is not of " + rule.origin + "/<year>");
  }
  return {};
}

Result<void> check_ledger(const KeyRule& rule, ByteView input) {
  const auto text = as_text(input);
  const bool manifest = text.substr(0, text.find('\n')).ends_with(tlog::export_suffix);
  return manifest ? check_manifest(rule, input) : check_checkpoint(rule, input);
}

Result<NumberToClaim> check_ca_input(const KeyRule& rule, ByteView input) {
  if (!rule.issuer) return refused(rule, "no issuer certificate is configured");
  const auto certificate = tokens::check_ue_tbs(input, *rule.issuer, rule.max_validity_seconds);
  if (certificate) return NumberToClaim();
  const auto crl = tokens::check_crl_tbs(input, *rule.issuer, to_unix(system_clock_now()));
  if (crl) return NumberToClaim(*crl);
  return refused(rule, certificate.error().detail + "; " + crl.error().detail);
}

Result<void> check_statement(const KeyRule& rule, ByteView input) {
  switch (rule.kind) {
    case KeyKind::avatar_id:
      return check_passport(rule, input);
    case KeyKind::avatar_metadata:
      return check_typ(rule, input, tokens::avatar_metadata_typ, {"alg", "kid", "typ", "x5c"});
    case KeyKind::access_token:
      return check_typ(rule, input, tokens::access_token_typ, {"alg", "kid", "typ"});
    case KeyKind::ledger:
      return check_ledger(rule, input);
    case KeyKind::ue_ca:
    case KeyKind::dac_kek:
      break;
  }
  return refused(rule, "it only wraps and unwraps data keys");
}

}  // namespace

Result<NumberToClaim> check_input(const KeyRule& rule, ByteView input) {
  if (rule.kind == KeyKind::ue_ca) return check_ca_input(rule, input);
  AVSEAL_CHECK(check_statement(rule, input));
  return NumberToClaim();
}

}  // namespace avseal::tokend
