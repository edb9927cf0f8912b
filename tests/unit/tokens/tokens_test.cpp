#include <functional>

#include <gtest/gtest.h>

#include "support.hpp"
#include "tokens/access_token.hpp"
#include "tokens/avatar_metadata.hpp"
#include "tokens/base64.hpp"
#include "tokens/digest.hpp"
#include "tokens/passport.hpp"
#include "tokens/ue_token.hpp"

namespace avseal::tokens {
namespace {

using testing::Authority;
using testing::jws_of;
using testing::now;
using testing::replaced;
using testing::SigningKey;

template <class T>
std::string_view reason_of(const Result<T>& result) {
  return result ? std::string_view("ok") : result.error().reason;
}

// The token with one part of its header or claims replaced, and signed again.
std::string again(const std::string& token, const SigningKey& key, std::string_view from, std::string_view to) {
  const Jws jws = parse_jws(token, 64 * 1024).value();
  const bool in_header = jws.header_text.find(from) != std::string::npos;
  return jws_of(in_header ? replaced(jws.header_text, from, to) : jws.header_text,
                in_header ? jws.payload_text : replaced(jws.payload_text, from, to), key);
}

class UeTokenTest : public ::testing::Test {
 protected:
  Authority ca = Authority::root("UE CA");
  SigningKey key;
  Certificate leaf = ca.issue(key.public_key(), testing::ue_options("sip:alice@a.example"));
  UeTokenClaims claims{"xr-as-1",
                       "xr-meeting",
                       "urn:uuid:x",
                       now,
                       now + 60,
                       base64url_encode(Bytes(16, 7)),
                       Impu::parse("sip:alice@a.example").value()};
  std::string token() { return key.sign_jws(build_ue_token(claims, leaf).value()); }
};

TEST_F(UeTokenTest, is_written_as_designed_and_read_again) {
  const auto parsed = parse_ue_token(token());
  ASSERT_TRUE(parsed) << parsed.error().detail;
  EXPECT_EQ(parsed->jws.header_text, R"({"alg":"ES256","typ":"avatar-ue+jwt","x5c":[")" + base64_encode(leaf.der()) +
                                         R"("],"x5t#S256":")" + leaf.fingerprint().to_x5t() + R"("})");
  EXPECT_EQ(
      parsed->jws.payload_text,
      R"({"aud":"xr-as-1","avatar":{"app":"xr-meeting","id":"urn:uuid:x"},"exp":1763930060,"iat":1763930000,"jti":"BwcHBwcHBwcHBwcHBwcHBw","sub":"sip:alice@a.example"})");
  EXPECT_EQ(parsed->leaf_fingerprint, leaf.fingerprint());
  EXPECT_EQ(parsed->claims.sub, claims.sub);
  EXPECT_TRUE(verify_ue_token_signature(*parsed));
  EXPECT_TRUE(check_ue_token_time(parsed->claims, now));
}

TEST_F(UeTokenTest, signature_is_the_leafs) {
  const auto forged = parse_ue_token(SigningKey().sign_jws(build_ue_token(claims, leaf).value())).value();
  EXPECT_EQ(reason_of(verify_ue_token_signature(forged)), "signature-invalid");
  const auto other_alg = parse_ue_token(again(token(), key, "ES256", "ES384")).value();
  EXPECT_EQ(reason_of(verify_ue_token_signature(other_alg)), "algorithm-mismatch");
}

TEST_F(UeTokenTest, certificate_and_digest_must_agree) {
  const std::string x5t = leaf.fingerprint().to_x5t();
  EXPECT_EQ(reason_of(parse_ue_token(again(token(), key, x5t, Fingerprint::sha256_of({}).to_x5t()))),
            "ue-token-certificate-mismatch");
  EXPECT_EQ(
      reason_of(parse_ue_token(again(token(), key, base64_encode(leaf.der()), base64_encode(ca.certificate.der())))),
      "ue-token-certificate-mismatch");
}

TEST_F(UeTokenTest, malformed_ones_are_refused) {
  const std::string good = token();
  const std::string x5c = "\"" + base64_encode(leaf.der()) + "\"";
  const std::vector<std::pair<std::string, std::string>> changes = {
      {x5c, ""},
      {x5c, x5c + "," + x5c},
      {x5c, "1"},
      {x5c, "\"AAAA\""},
      {x5c, "\"?\""},
      {"\"x5c\"", "\"x5d\""},
      {leaf.fingerprint().to_x5t(), "x"},
      {"\"typ\"", "\"kid\":\"x\",\"typ\""},
      {"\"aud\":\"xr-as-1\"", "\"aud\":[\"xr-as-1\"]"},
      {"xr-as-1", ""},
      {"xr-as-1", "a b"},
      {"xr-meeting", ""},
      {"urn:uuid:x", "<"},
      {"\"exp\"", "\"exq\""},
      {"1763930000", "\"1763930000\""},
      {"1763930000", "1.5"},
      {"1763930000", "-1"},
      {"BwcHBwcHBwcHBwcHBwcHBw", "Bw"},
      {"BwcHBwcHBwcHBwcHBwcHBw", "BwcHBwcHBwcHBwcHBwcHBx"},
      {"sip:alice@a.example", "sip:alice@A.example"},
      {"sip:alice@a.example", "alice"},
      {"\"aud\"", "\"x\":1,\"aud\""},
      {"\"id\"", "\"x\":1,\"id\""},
      {"{\"aud\"", "{\"aud\":\"y\",\"aud\""}};
  for (const auto& [from, to] : changes) {
    EXPECT_EQ(reason_of(parse_ue_token(again(good, key, from, to))), "ue-token-malformed") << from << " -> " << to;
  }
  EXPECT_EQ(reason_of(parse_ue_token("x")), "ue-token-malformed");
}

TEST_F(UeTokenTest, time) {
  const auto at = [&](UnixSeconds iat, UnixSeconds exp) {
    claims.iat = iat;
    claims.exp = exp;
    return reason_of(check_ue_token_time(claims, now));
  };
  EXPECT_EQ(at(now - 115, now + 5), "ok");
  EXPECT_EQ(at(now, now + 120), "ok");
  EXPECT_EQ(at(now, now + 121), "ue-token-lifetime");
  EXPECT_EQ(at(now, now), "ue-token-lifetime");
  EXPECT_EQ(at(now + 10, now), "ue-token-lifetime");
  EXPECT_EQ(at(now - 60, now - 4), "ok") << "leeway";
  EXPECT_EQ(at(now - 60, now - 5), "ue-token-expired");
  EXPECT_EQ(at(now + 5, now + 60), "ok") << "leeway";
  EXPECT_EQ(at(now + 6, now + 60), "ue-token-future");
}

TEST_F(UeTokenTest, building_checks_claims) {
  claims.jti = "short";
  EXPECT_EQ(reason_of(build_ue_token(claims, leaf)), "ue-token-malformed");
}

class AccessTokenTest : public ::testing::Test {
 protected:
  SigningKey key;
  std::string dac = random_uuid();
  std::string issuer = random_uuid();
  std::string client = random_uuid();
  std::string x5t = Fingerprint::sha256_of(as_bytes("client")).to_x5t();
  AccessTokenClaims claims{{dac}, "xr-meeting", dac,    "urn:uuid:x", {"read"},      3,     "xr-as-1", x5t,
                           now,   now + 300,    issuer, "id-1",       "ndac-avatar", client};
  AccessTokenExpectation expected{issuer, dac, "ndac-avatar", "urn:uuid:x", "read", x5t, client};

  std::string token() { return key.sign_jws(build_access_token(claims, key.public_key()).value()); }
  std::string_view verdict(UnixSeconds t = now, std::int64_t leeway = 5) {
    return reason_of(verify_access_token(parse_access_token(token()).value(), key.public_key(), expected, t, leeway));
  }
};

TEST_F(AccessTokenTest, is_written_as_designed_and_read_again) {
  const auto parsed = parse_access_token(token()).value();
  EXPECT_EQ(parsed.jws.header_text,
            R"({"alg":"ES256","kid":")" + key.public_key().thumbprint() + R"(","typ":"at+jwt"})");
  EXPECT_EQ(parsed.jws.payload_text,
            R"({"aud":[")" + dac + R"("],"avatar":{"app":"xr-meeting","dac":")" + dac +
                R"(","id":"urn:uuid:x","ops":["read"],"ver":3},"client_id":"xr-as-1","cnf":{"x5t#S256":")" + x5t +
                R"("},"exp":1763930300,"iat":1763930000,"iss":")" + issuer +
                R"(","jti":"id-1","scope":"ndac-avatar","sub":")" + client + R"("})");
  EXPECT_EQ(parsed.claims.version, 3);
  EXPECT_EQ(parsed.kid, key.public_key().thumbprint());
  EXPECT_EQ(verdict(), "ok");
}

TEST_F(AccessTokenTest, verifier_names_what_is_wrong) {
  const auto good_expected = expected;
  const auto good_claims = claims;
  const auto with = [&](const std::function<void()>& change) {
    expected = good_expected;
    claims = good_claims;
    change();
    return verdict();
  };
  EXPECT_EQ(with([&] { expected.issuer = random_uuid(); }), "access-token-issuer");
  EXPECT_EQ(with([&] { expected.audience = random_uuid(); }), "access-token-audience");
  EXPECT_EQ(with([&] { claims.dac = random_uuid(); }), "access-token-audience");
  EXPECT_EQ(with([&] { claims.aud.push_back(random_uuid()); }), "ok");
  EXPECT_EQ(with([&] {
              claims.exp = now - 10;
              claims.iat = now - 100;
            }),
            "access-token-expired");
  EXPECT_EQ(with([&] { claims.iat = now + 10; }), "access-token-expired");
  EXPECT_EQ(with([&] { claims.exp = now + 301; }), "access-token-lifetime");
  EXPECT_EQ(with([&] { expected.client_x5t = Fingerprint::sha256_of({}).to_x5t(); }), "access-token-binding");
  EXPECT_EQ(with([&] { expected.client_x5t = "no digest"; }), "access-token-binding");
  EXPECT_EQ(with([&] { expected.client_nf_instance_id = random_uuid(); }), "access-token-subject");
  EXPECT_EQ(with([&] { expected.scope = "ndac"; }), "access-token-scope");
  EXPECT_EQ(with([&] { claims.scope = "other ndac-avatar"; }), "ok");
  EXPECT_EQ(with([&] { expected.avatar_id = "urn:uuid:y"; }), "access-token-avatar");
  EXPECT_EQ(with([&] { expected.operation = "write"; }), "access-token-operation");
  EXPECT_EQ(with([&] { expected = {}; }), "ok") << "nothing expected";
}

TEST_F(AccessTokenTest, verifier_keeps_its_order) {
  expected = {"i", "a", "s", "v", "o", "x", "n"};
  claims.exp = now + 1000;
  EXPECT_EQ(reason_of(verify_access_token(parse_access_token(token()).value(), SigningKey().public_key(), expected,
                                          now + 2000)),
            "signature-invalid");
  EXPECT_EQ(verdict(now + 2000), "access-token-issuer");
  expected.issuer = issuer;
  EXPECT_EQ(verdict(now + 2000), "access-token-audience");
  expected.audience = dac;
  EXPECT_EQ(verdict(now + 2000), "access-token-expired");
  EXPECT_EQ(verdict(), "access-token-lifetime");
  claims.exp = now + 100;
  EXPECT_EQ(verdict(), "access-token-binding");
  expected.client_x5t = x5t;
  EXPECT_EQ(verdict(), "access-token-subject");
  expected.client_nf_instance_id = client;
  EXPECT_EQ(verdict(), "access-token-scope");
  expected.scope = "ndac-avatar";
  EXPECT_EQ(verdict(), "access-token-avatar");
  expected.avatar_id = "urn:uuid:x";
  EXPECT_EQ(verdict(), "access-token-operation");
}

TEST_F(AccessTokenTest, leeway_is_at_most_thirty_seconds) {
  EXPECT_EQ(verdict(now + 304), "ok");
  EXPECT_EQ(verdict(now + 305), "access-token-expired");
  EXPECT_EQ(verdict(now + 329, 1000), "ok");
  EXPECT_EQ(verdict(now + 330, 1000), "access-token-expired");
}

TEST_F(AccessTokenTest, forged_signature) {
  const SigningKey other;
  const auto forged = parse_access_token(other.sign_jws(build_access_token(claims, key.public_key()).value())).value();
  EXPECT_EQ(reason_of(verify_access_token(forged, key.public_key(), expected, now)), "signature-invalid");
}

TEST_F(AccessTokenTest, malformed_ones_are_refused) {
  const std::string good = token();
  const std::vector<std::pair<std::string, std::string>> changes = {{"[\"" + dac + "\"]", "[]"},
                                                                    {"[\"" + dac + "\"]", "\"DAC\""},
                                                                    {"[\"" + dac + "\"]", "{}"},
                                                                    {"\"aud\"", "\"aux\""},
                                                                    {"\"ops\":[\"read\"]", "\"ops\":[]"},
                                                                    {"\"ops\":[\"read\"]", "\"ops\":\"read\""},
                                                                    {"\"ver\":3", "\"ver\":0"},
                                                                    {"\"ver\":3", "\"ver\":3,\"x\":1"},
                                                                    {"\"client_id\":\"xr-as-1\"", "\"client_id\":\"\""},
                                                                    {x5t, "x"},
                                                                    {"\"cnf\":{", "\"cnf\":{\"jkt\":\"x\","},
                                                                    {"1763930300", "\"1763930300\""},
                                                                    {"\"iss\":\"", "\"iss\":\"x"},
                                                                    {"\"id-1\"", "\"\""},
                                                                    {"\"id-1\"", "\"\\u001b[2J\""},
                                                                    {"xr-as-1", "\\u001b[2J"},
                                                                    {"\"scope\":\"ndac-avatar\"", "\"scope\":\"\""},
                                                                    {"ndac-avatar\"", "ndac-avatar \""},
                                                                    {"ndac-avatar", "a  b"},
                                                                    {"\"sub\":\"", "\"sub\":\"x"},
                                                                    {"xr-meeting", "<"},
                                                                    {"urn:uuid:x", ""}};
  for (const auto& [from, to] : changes) {
    EXPECT_EQ(reason_of(parse_access_token(again(good, key, from, to))), "access-token-malformed")
        << from << " -> " << to;
  }
  EXPECT_EQ(reason_of(parse_access_token(again(good, key, "\"kid\"", "\"kie\""))), "access-token-malformed");
  EXPECT_EQ(reason_of(parse_access_token("x")), "access-token-malformed");
}

TEST_F(AccessTokenTest, members_of_TS_29_510_are_ignored_and_one_audience_may_be_a_string) {
  const std::string good = token();
  EXPECT_TRUE(
      parse_access_token(again(good, key, "\"iss\"", "\"consumerPlmnId\":{\"mcc\":\"001\",\"mnc\":\"01\"},\"iss\"")));
  EXPECT_TRUE(parse_access_token(again(good, key, "[\"" + dac + "\"]", "\"" + dac + "\"")));
}

class MetadataTest : public ::testing::Test {
 protected:
  Authority root = Authority::root("operator");
  Authority middle = root.intermediate("DAC CA");
  SigningKey key;
  Certificate signer = middle.issue(key.public_key(), {});
  std::string dac = random_uuid();
  Sha256 digest = sha256(as_bytes("content"));
  AvatarMetadata metadata{"sha-256-" + base64_encode(digest),
                          7,
                          "model/gltf-binary",
                          "urn:uuid:x",
                          Impu::parse("sip:alice@a.example").value(),
                          3,
                          {{"lod", 2}, {"rig", {{"bones", 4}}}},
                          now,
                          now + 3600,
                          dac};

  std::string token() {
    return key.sign_jws(build_avatar_metadata(metadata, signer, std::span(&middle.certificate, 1)).value());
  }
  std::string_view verdict(UnixSeconds t = now, std::string_view id = "urn:uuid:x", std::int64_t version = 3) {
    return reason_of(verify_metadata(parse_avatar_metadata(token()).value(), root.anchors(), id, version, t));
  }
};

TEST_F(MetadataTest, is_written_as_designed_and_read_again) {
  const auto parsed = parse_avatar_metadata(token());
  ASSERT_TRUE(parsed) << parsed.error().detail;
  EXPECT_EQ(parsed->jws.header_text, R"({"alg":"ES256","kid":")" + key.public_key().thumbprint() +
                                         R"(","typ":"avatar-metadata+jwt","x5c":[")" + base64_encode(signer.der()) +
                                         R"(",")" + base64_encode(middle.certificate.der()) + R"("]})");
  EXPECT_EQ(
      parsed->jws.payload_text,
      R"({"avatar":{"content":{"digest":"sha-256-7XACtDnprIRfIjV9giusFERzD722AW0+yUMil7nsn3M=","size":7,"type":"model/gltf-binary"},"id":"urn:uuid:x","lod":2,"owner":"sip:alice@a.example","rig":{"bones":4},"version":3},"exp":1763933600,"iat":1763930000,"iss":")" +
          dac + R"("})");
  EXPECT_EQ(parsed->metadata.members, metadata.members);
  EXPECT_EQ(parsed->metadata.content_digest, metadata.content_digest);
  EXPECT_EQ(parsed->x5c.size(), 2U);
  EXPECT_EQ(verdict(), "ok");
}

TEST_F(MetadataTest, verifier_names_what_is_wrong) {
  EXPECT_EQ(verdict(now + 3604), "ok");
  EXPECT_EQ(verdict(now + 3605), "metadata-expired");
  EXPECT_EQ(verdict(now - 6), "metadata-future");
  EXPECT_EQ(verdict(now, "urn:uuid:y"), "metadata-other-avatar");
  EXPECT_EQ(verdict(now, "urn:uuid:x", 4), "metadata-old-version");
  EXPECT_EQ(verdict(now, "urn:uuid:x", 2), "ok");
  EXPECT_EQ(verdict(now + 2 * testing::day), "certificate-expired");
}

TEST_F(MetadataTest, signers_certificate_must_fit) {
  signer = root.certificate;
  metadata.members = {};
  const auto signed_by = [&](const Certificate& certificate, const SigningKey& with) {
    return parse_avatar_metadata(with.sign_jws(build_avatar_metadata(metadata, certificate, {}).value())).value();
  };
  const auto verdict_of = [&](const SignedAvatarMetadata& object) {
    return reason_of(verify_metadata(object, root.anchors(), "urn:uuid:x", 3, now));
  };
  EXPECT_EQ(verdict_of(signed_by(root.issue(key.public_key(), {}), key)), "ok");
  EXPECT_EQ(verdict_of(signed_by(root.issue(key.public_key(), {}), SigningKey())), "signature-invalid");
  EXPECT_EQ(verdict_of(signed_by(root.certificate, root.key)), "certificate-is-ca");
  EXPECT_EQ(verdict_of(signed_by(root.issue(key.public_key(), testing::ue_options("sip:a@b")), key)),
            "certificate-of-ue");
  testing::CertificateOptions options;
  options.key_usage = "critical,keyAgreement";
  EXPECT_EQ(verdict_of(signed_by(root.issue(key.public_key(), options), key)), "certificate-key-usage");
  EXPECT_EQ(verdict_of(signed_by(Authority::root("operator").issue(key.public_key(), {}), key)),
            "certificate-untrusted");
}

TEST_F(MetadataTest, malformed_ones_are_refused) {
  const std::string good = token();
  const std::vector<std::pair<std::string, std::string>> changes = {{"sha-256-", "sha-512-"},
                                                                    {"sha-256-", "sha-256:"},
                                                                    {"n3M=", "n3M"},
                                                                    {"\"size\":7", "\"size\":-1"},
                                                                    {"\"size\":7", "\"size\":\"7\""},
                                                                    {"\"size\":7", "\"size\":7,\"x\":1"},
                                                                    {"model/gltf-binary", "model"},
                                                                    {"model/gltf-binary", "model/"},
                                                                    {"model/gltf-binary", "a/b/c"},
                                                                    {"model/gltf-binary", "a/b;c"},
                                                                    {"urn:uuid:x", ""},
                                                                    {"sip:alice@a.example", "sip:alice@A.example"},
                                                                    {"sip:alice@a.example", "x"},
                                                                    {"\"version\":3", "\"version\":0"},
                                                                    {"\"lod\":2", "\"lod\":2.5"},
                                                                    {"\"exp\":1763933600", "\"exp\":1763930000"},
                                                                    {"\"iat\"", "\"nbf\":1,\"iat\""},
                                                                    {"\"iss\":\"", "\"iss\":\"x"},
                                                                    {"\"typ\"", "\"x5u\":\"x\",\"typ\""},
                                                                    {"\"kid\":\"", "\"kid\":\"x"},
                                                                    {"\"x5c\":[", "\"x5c\":[1,"}};
  for (const auto& [from, to] : changes) {
    EXPECT_EQ(reason_of(parse_avatar_metadata(again(good, key, from, to))), "metadata-malformed")
        << from << " -> " << to;
  }
  EXPECT_EQ(reason_of(parse_avatar_metadata("x")), "metadata-malformed");
}

TEST_F(MetadataTest, building_refuses_other_members) {
  const auto with = [&](json::object members) {
    metadata.members = std::move(members);
    return reason_of(build_avatar_metadata(metadata, signer, {}));
  };
  EXPECT_EQ(with({{"version", 9}}), "metadata-malformed");
  EXPECT_EQ(with({{"content", json::object{}}}), "metadata-malformed");
  EXPECT_EQ(with({{"scale", 1.5}}), "metadata-malformed");
  EXPECT_EQ(with({{"text", std::string(50000, 'x')}}), "metadata-too-large");
  EXPECT_EQ(with({{"text", std::string(30000, 'x')}}), "ok");
  EXPECT_TRUE(parse_avatar_metadata(token())) << "large ones are read again";
}

TEST_F(MetadataTest, content_is_bound_by_digest_and_size) {
  EXPECT_TRUE(check_content(metadata, digest, 7));
  EXPECT_EQ(reason_of(check_content(metadata, digest, 8)), "content-mismatch");
  EXPECT_EQ(reason_of(check_content(metadata, sha256(as_bytes("contenT")), 7)), "content-mismatch");
  EXPECT_EQ(reason_of(check_content(metadata, ByteView(digest).first(31), 7)), "content-mismatch");
}

// A verifier of one kind refuses the other three, and says that it is the type.
class Kinds : public ::testing::Test {
 protected:
  Authority root = Authority::root("root");
  SigningKey key;
  Certificate certificate = root.issue(key.public_key(), {});

  std::vector<std::string> objects() {
    const std::string uuid = random_uuid();
    const Impu alice = Impu::parse("sip:alice@a.example").value();
    const Fingerprint ue = certificate.fingerprint();
    Passport passport;
    passport.ppt = "avatar";
    passport.x5u = "https://a.example/c.pem";
    passport.orig = Identity::of(alice);
    passport.dest = {passport.orig};
    passport.iat = now;
    passport.attest = Attest::a;
    passport.origid = uuid;
    passport.mky = {ue};
    passport.avatar = AvatarClaim{"app", "id", ue.to_x5t()};
    const UeTokenClaims ue_claims{"xr", "app", "id", now, now + 60, base64url_encode(Bytes(16, 7)), alice};
    const AccessTokenClaims access{{uuid},      "app", uuid,     "id", {"read"}, 1,   "xr",
                                   ue.to_x5t(), now,   now + 60, uuid, "j",      "s", uuid};
    const AvatarMetadata metadata{
        "sha-256-" + base64_encode(sha256({})), 0, "a/b", "id", alice, 1, {}, now, now + 60, uuid};
    std::vector<std::string> signed_objects;
    for (const auto& input :
         {build_passport(passport, Algorithm::es256), build_ue_token(ue_claims, certificate),
          build_access_token(access, key.public_key()), build_avatar_metadata(metadata, certificate, {})}) {
      signed_objects.push_back(key.sign_jws(input.value()));
    }
    return signed_objects;
  }
};

TEST_F(Kinds, never_pass_for_each_other) {
  const std::array<std::function<std::string_view(std::string_view)>, 4> verifiers = {
      [](std::string_view text) { return reason_of(parse_passport(text)); },
      [](std::string_view text) { return reason_of(parse_ue_token(text)); },
      [](std::string_view text) { return reason_of(parse_access_token(text)); },
      [](std::string_view text) { return reason_of(parse_avatar_metadata(text)); }};
  const std::array<std::string_view, 4> type_reasons = {"passport-type", "ue-token-type", "access-token-type",
                                                        "metadata-type"};
  const auto all = objects();
  for (std::size_t object = 0; object < all.size(); ++object) {
    for (std::size_t verifier = 0; verifier < verifiers.size(); ++verifier) {
      EXPECT_EQ(verifiers[verifier](all[object]), object == verifier ? "ok" : type_reasons[verifier])
          << "object " << object << ", verifier " << verifier;
    }
  }
}

}  // namespace
}  // namespace avseal::tokens
