#include "tokens/ue_token.hpp"

#include <algorithm>

#include "tokens/base64.hpp"
#include "tokens/claims.hpp"

namespace avseal::tokens {
namespace {

constexpr std::size_t jti_size = 16;

Error malformed(std::string detail, std::string param = {}) {
  return errors::make(Category::bad_request, "ue-token-malformed", std::move(detail), std::move(param));
}

Error malformed(const Error& error) {
  return claims::within("ue-token-malformed", error);
}

Result<void> check_claims(const UeTokenClaims& claims) {
  if (const auto aud = check_application_id(claims.aud); !aud) {
    return malformed("expected an XR AS id of 1 to 255 printable ASCII characters", "/aud");
  }
  if (const auto app = check_application_id(claims.app); !app) return malformed(app.error());
  if (const auto id = check_avatar_id(claims.avatar_id); !id) return malformed(id.error());
  if (!claims::is_time(claims.iat) || !claims::is_time(claims.exp)) {
    return malformed("expected times between 1970 and the year 10000", "/iat");
  }
  const auto jti = base64url_decode(claims.jti);
  if (!jti || jti->size() != jti_size) return malformed("expected base64url of 16 random bytes as jti", "/jti");
  return {};
}

struct AvatarReference {
  std::string app;
  std::string id;
};

Result<AvatarReference> read_avatar(ObjectReader reader) {
  AvatarReference avatar;
  AVSEAL_TRY(avatar.app, reader.string("app"));
  AVSEAL_TRY(avatar.id, reader.string("id"));
  AVSEAL_CHECK(reader.finish());
  return avatar;
}

Result<UeTokenClaims> read_claims(const json::value& payload) {
  AVSEAL_TRY(auto reader, ObjectReader::open(payload));
  AVSEAL_TRY(const auto aud, reader.string("aud"));
  AVSEAL_TRY(auto avatar_object, reader.object("avatar"));
  AVSEAL_TRY(auto avatar, read_avatar(std::move(avatar_object)));
  AVSEAL_TRY(const auto iat, claims::time(reader, "iat"));
  AVSEAL_TRY(const auto exp, claims::time(reader, "exp"));
  AVSEAL_TRY(const auto jti, reader.string("jti"));
  AVSEAL_TRY(const auto sub_text, reader.string("sub"));
  AVSEAL_CHECK(reader.finish());
  AVSEAL_TRY(auto sub, Impu::parse(sub_text));
  if (sub.canonical() != sub_text) return malformed("expected a canonical IMPU, found another form of it", "/sub");
  return UeTokenClaims{std::string(aud), std::move(avatar.app), std::move(avatar.id), iat, exp,
                       std::string(jti), std::move(sub)};
}

struct Header {
  Certificate leaf;
  Fingerprint fingerprint;
};

Result<Header> read_header(const json::value& value) {
  auto opened = ObjectReader::open(value);
  if (!opened) return malformed(opened.error());
  ObjectReader& reader = *opened;
  const auto typ = reader.optional_string("typ");
  if (!typ || *typ != ue_token_typ) {
    return errors::make(Category::invalid, "ue-token-type",
                        "expected typ " + std::string(ue_token_typ) + ", found another or none", "/typ");
  }
  const auto alg = reader.string("alg");
  if (!alg) return malformed(alg.error());
  const auto x5c = reader.strings("x5c");
  if (!x5c) return malformed(x5c.error());
  const auto x5t = reader.string("x5t#S256");
  if (!x5t) return malformed(x5t.error());
  if (const auto done = reader.finish(); !done) return malformed(done.error());
  auto certificates = claims::x5c(*x5c, 1);
  if (!certificates) return malformed(certificates.error());
  auto fingerprint = Fingerprint::from_x5t(*x5t);
  if (!fingerprint) return malformed(fingerprint.error());
  if (!(certificates->front().fingerprint() == *fingerprint)) {
    return errors::make(Category::invalid, "ue-token-certificate-mismatch",
                        "expected x5t#S256 to be the digest of the certificate in x5c, found another", "/x5t#S256");
  }
  return Header{std::move(certificates->front()), std::move(*fingerprint)};
}

}  // namespace

Result<std::string> build_ue_token(const UeTokenClaims& claims, const Certificate& leaf) {
  AVSEAL_CHECK(check_claims(claims));
  const json::object header{{"alg", to_string(leaf.public_key().algorithm())},
                            {"typ", ue_token_typ},
                            {"x5c", claims::to_x5c(leaf, {})},
                            {"x5t#S256", leaf.fingerprint().to_x5t()}};
  const json::object payload{
      {"aud", claims.aud}, {"avatar", json::object{{"app", claims.app}, {"id", claims.avatar_id}}},
      {"exp", claims.exp}, {"iat", claims.iat},
      {"jti", claims.jti}, {"sub", claims.sub.canonical()}};
  return jws_signing_input(header, payload);
}

Result<UeToken> parse_ue_token(std::string_view compact) {
  auto jws = parse_jws(compact);
  if (!jws) return malformed(jws.error());
  AVSEAL_TRY(auto header, read_header(json::value(jws->header)));
  auto claims = read_claims(jws->payload);
  if (!claims) return malformed(claims.error());
  AVSEAL_CHECK(check_claims(*claims));
  return UeToken{std::move(*claims), std::move(header.leaf), std::move(header.fingerprint), std::move(*jws)};
}

Result<void> verify_ue_token_signature(const UeToken& token) {
  return verify_jws(token.jws, token.leaf.public_key());
}

Result<void> check_ue_token_time(const UeTokenClaims& claims, UnixSeconds now, std::int64_t leeway) {
  const auto refused = [](std::string_view reason, std::string detail, const char* param) {
    return errors::make(Category::invalid, reason, std::move(detail), param);
  };
  const std::int64_t lifetime = claims.exp - claims.iat;
  if (lifetime <= 0 || lifetime > ue_token_max_lifetime) {
    return refused("ue-token-lifetime", "expected a lifetime of 1 to 120 seconds, found " + std::to_string(lifetime),
                   "/exp");
  }
  if (now >= claims.exp + leeway) {
    return refused("ue-token-expired",
                   "expected a token that expires after now, found one that expired " +
                       std::to_string(now - claims.exp) + " seconds ago; make a new one",
                   "/exp");
  }
  if (claims.iat > now + leeway) {
    return refused("ue-token-future",
                   "expected a token issued before now, found one issued " + std::to_string(claims.iat - now) +
                       " seconds later; set the UE's clock",
                   "/iat");
  }
  return {};
}

}  // namespace avseal::tokens
