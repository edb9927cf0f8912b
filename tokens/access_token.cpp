#include "tokens/access_token.hpp"

#include <algorithm>

#include "tokens/claims.hpp"
#include "tokens/digest.hpp"
#include "tokens/impu.hpp"

namespace avseal::tokens {
namespace {

constexpr std::int64_t max_leeway = 30;  // TS 33.122 C.2.2

Error malformed(std::string detail, std::string param = {}) {
  return errors::make(Category::bad_request, "access-token-malformed", std::move(detail), std::move(param));
}

Error malformed(const Error& error) {
  return claims::within("access-token-malformed", error);
}

Error refused(std::string_view reason, std::string detail, const char* param) {
  return errors::make(Category::invalid, reason, std::move(detail), param);
}

bool contains(const std::vector<std::string>& list, std::string_view value) {
  return std::find(list.begin(), list.end(), value) != list.end();
}

// RFC 6749 section 3.3: scope-tokens with one space between them.
bool is_scope(std::string_view scope) {
  if (scope.empty() || scope.front() == ' ' || scope.back() == ' ' || scope.find("  ") != std::string_view::npos) {
    return false;
  }
  return std::all_of(scope.begin(), scope.end(), [](char c) { return c >= ' ' && c < 0x7F && c != '"' && c != '\\'; });
}

bool has_scope(std::string_view scopes, std::string_view wanted) {
  while (!scopes.empty()) {
    const std::string_view one = scopes.substr(0, scopes.find(' '));
    if (one == wanted) return true;
    scopes.remove_prefix(std::min(scopes.size(), one.size() + 1));
  }
  return false;
}

Result<void> check_claims(const AccessTokenClaims& claims) {
  if (claims.aud.empty() || !std::all_of(claims.aud.begin(), claims.aud.end(), is_uuid)) {
    return malformed("expected the UUIDs of DAC instances", "/aud");
  }
  if (!is_uuid(claims.dac)) return malformed("expected the UUID of a DAC instance", "/avatar/dac");
  if (!is_uuid(claims.iss)) return malformed("expected the UUID of the issuer", "/iss");
  if (!is_uuid(claims.sub)) return malformed("expected the NF instance UUID of the client", "/sub");
  if (const auto app = check_application_id(claims.app); !app) return malformed(app.error());
  if (const auto id = check_avatar_id(claims.avatar_id); !id) return malformed(id.error());
  if (claims.ops.empty()) return malformed("expected at least one operation", "/avatar/ops");
  if (claims.version < 1) return malformed("expected a version of at least 1", "/avatar/ver");
  // Both end up in logs and on terminals.
  if (!check_application_id(claims.client_id) || !check_application_id(claims.jti)) {
    return malformed("expected client_id and jti of 1 to 255 printable ASCII characters", "/client_id");
  }
  if (const auto x5t = Fingerprint::from_x5t(claims.cnf_x5t); !x5t) {
    return malformed("expected base64url of a SHA-256 digest", "/cnf/x5t#S256");
  }
  if (!claims::is_time(claims.iat) || !claims::is_time(claims.exp)) {
    return malformed("expected times between 1970 and the year 10000", "/iat");
  }
  if (!is_scope(claims.scope)) return malformed("expected names with one space between them", "/scope");
  return {};
}

// TS 29.510: one NF type or instance, or an array of instances.
Result<std::vector<std::string>> read_audience(ObjectReader& reader) {
  if (const auto one = reader.optional_string("aud"); one && *one) return std::vector<std::string>{std::string(**one)};
  return reader.strings("aud");
}

Result<void> read_avatar(ObjectReader reader, AccessTokenClaims& claims) {
  AVSEAL_TRY(claims.app, reader.string("app"));
  AVSEAL_TRY(claims.dac, reader.string("dac"));
  AVSEAL_TRY(claims.avatar_id, reader.string("id"));
  AVSEAL_TRY(claims.ops, reader.strings("ops"));
  AVSEAL_TRY(claims.version, reader.integer("ver"));
  return reader.finish();
}

// TS 29.510 and RFC 9068 members beyond ours are ignored; `avatar` is ours and complete.
Result<AccessTokenClaims> read_claims(const json::value& payload) {
  AccessTokenClaims claims;
  AVSEAL_TRY(auto reader, ObjectReader::open(payload));
  AVSEAL_TRY(claims.aud, read_audience(reader));
  AVSEAL_TRY(auto avatar, reader.object("avatar"));
  AVSEAL_CHECK(read_avatar(std::move(avatar), claims));
  AVSEAL_TRY(claims.client_id, reader.string("client_id"));
  AVSEAL_TRY(auto cnf, reader.object("cnf"));
  AVSEAL_TRY(claims.cnf_x5t, cnf.string("x5t#S256"));
  AVSEAL_CHECK(cnf.finish());
  AVSEAL_TRY(claims.exp, claims::time(reader, "exp"));
  AVSEAL_TRY(claims.iat, claims::time(reader, "iat"));
  AVSEAL_TRY(claims.iss, reader.string("iss"));
  AVSEAL_TRY(claims.jti, reader.string("jti"));
  AVSEAL_TRY(claims.scope, reader.string("scope"));
  AVSEAL_TRY(claims.sub, reader.string("sub"));
  return claims;
}

Result<void> check_times(const AccessTokenClaims& claims, UnixSeconds now, std::int64_t leeway) {
  if (now >= claims.exp + leeway) {
    return refused("access-token-expired",
                   "expected a token that expires after now, found an expired one; ask for another", "/exp");
  }
  if (claims.iat > now + leeway) {
    return refused("access-token-expired", "expected a token issued before now, found one issued later; set the clocks",
                   "/iat");
  }
  const std::int64_t lifetime = claims.exp - claims.iat;
  if (lifetime <= 0 || lifetime > access_token_max_lifetime) {
    return refused("access-token-lifetime",
                   "expected a lifetime of 1 to 300 seconds, found " + std::to_string(lifetime), "/exp");
  }
  return {};
}

// Is the presenter the one that the token was issued to?
Result<void> check_presenter(const AccessTokenClaims& claims, const AccessTokenExpectation& expected) {
  if (!expected.client_x5t.empty()) {
    const auto bound = Fingerprint::from_x5t(claims.cnf_x5t);
    const auto presented = Fingerprint::from_x5t(expected.client_x5t);
    if (!bound || !presented || !(*bound == *presented)) {
      return refused("access-token-binding",
                     "expected the TLS client certificate that the token is bound to, found another", "/cnf/x5t#S256");
    }
  }
  if (!expected.client_nf_instance_id.empty() && claims.sub != expected.client_nf_instance_id) {
    return refused("access-token-subject", "expected sub to be the client's NF instance id, found another", "/sub");
  }
  return {};
}

}  // namespace

Result<std::string> build_access_token(const AccessTokenClaims& claims, const PublicKey& signer) {
  AVSEAL_CHECK(check_claims(claims));
  const json::object header{
      {"alg", to_string(signer.algorithm())}, {"kid", signer.thumbprint()}, {"typ", access_token_typ}};
  const json::object payload{{"aud", claims::to_array(claims.aud)},
                             {"avatar", json::object{{"app", claims.app},
                                                     {"dac", claims.dac},
                                                     {"id", claims.avatar_id},
                                                     {"ops", claims::to_array(claims.ops)},
                                                     {"ver", claims.version}}},
                             {"client_id", claims.client_id},
                             {"cnf", json::object{{"x5t#S256", claims.cnf_x5t}}},
                             {"exp", claims.exp},
                             {"iat", claims.iat},
                             {"iss", claims.iss},
                             {"jti", claims.jti},
                             {"scope", claims.scope},
                             {"sub", claims.sub}};
  return jws_signing_input(header, payload);
}

Result<AccessToken> parse_access_token(std::string_view compact) {
  auto jws = parse_jws(compact);
  if (!jws) return malformed(jws.error());
  const json::value header_value(jws->header);
  auto header = ObjectReader::open(header_value);
  const auto typ = header->optional_string("typ");
  if (!typ || *typ != access_token_typ) {
    return refused("access-token-type", "expected typ " + std::string(access_token_typ) + ", found another or none",
                   "/typ");
  }
  const auto kid = header->string("kid");
  if (!kid) return malformed(kid.error());
  auto claims = read_claims(jws->payload);
  if (!claims) return malformed(claims.error());
  AVSEAL_CHECK(check_claims(*claims));
  return AccessToken{std::move(*claims), std::string(*kid), std::move(*jws)};
}

Result<void> verify_access_token(const AccessToken& token, const PublicKey& issuer_key,
                                 const AccessTokenExpectation& expected, UnixSeconds now, std::int64_t leeway) {
  const AccessTokenClaims& claims = token.claims;
  if (token.kid != issuer_key.thumbprint()) {
    return refused("signature-invalid", "expected the kid of the issuer's key, found another", "/kid");
  }
  AVSEAL_CHECK(verify_jws(token.jws, issuer_key));
  if (!expected.issuer.empty() && claims.iss != expected.issuer) {
    return refused("access-token-issuer", "expected the issuer that is configured, found another", "/iss");
  }
  if (!expected.audience.empty() && (!contains(claims.aud, expected.audience) || claims.dac != expected.audience)) {
    return refused("access-token-audience", "expected a token for this DAC, found one for another", "/aud");
  }
  AVSEAL_CHECK(check_times(claims, now, std::clamp<std::int64_t>(leeway, 0, max_leeway)));
  AVSEAL_CHECK(check_presenter(claims, expected));
  if (!expected.scope.empty() && !has_scope(claims.scope, expected.scope)) {
    return refused("access-token-scope", "expected scope " + expected.scope + ", found others", "/scope");
  }
  if (!expected.avatar_id.empty() && claims.avatar_id != expected.avatar_id) {
    return refused("access-token-avatar", "expected a token for the avatar that was asked for, found one for another",
                   "/avatar/id");
  }
  if (!expected.operation.empty() && !contains(claims.ops, expected.operation)) {
    return refused("access-token-operation", "expected operation " + expected.operation + ", found others",
                   "/avatar/ops");
  }
  return {};
}

}  // namespace avseal::tokens
