// The eight steps of verification, each refusing what only it can refuse, in their order.
#include "signing/verifier.hpp"

#include <gtest/gtest.h>

#include "site.hpp"
#include "tokens/base64.hpp"

namespace avseal {
namespace {

namespace json = boost::json;
using test::fingerprint_a;
using test::fingerprint_b;

class Verification : public testing::Test {
 protected:
  signing::CallFacts call() {
    return {tokens::Identity::from_uri("sip:alice@a.example").value(),
            {tokens::Identity::from_uri("sip:bob@b.example").value()},
            {fingerprint_a},
            std::nullopt,
            site.now};
  }
  Result<signing::VerifiedPassport> verify(const std::string& header) { return verify(header, call()); }
  Result<signing::VerifiedPassport> verify(const std::string& header, signing::CallFacts facts) {
    return test::run(site.context, site.role->verifier().verify_call(header, std::move(facts), site.now));
  }
  std::string reason(const std::string& header) { return reason(header, call()); }
  std::string reason(const std::string& header, signing::CallFacts facts) {
    const auto result = verify(header, std::move(facts));
    if (result) return "";
    EXPECT_EQ(result.error().category, Category::invalid) << result.error().detail;
    return std::string(result.error().reason);
  }
  // Has another operator's certificate sign, fetched from its host.
  std::string signed_by(const tokens::Certificate& certificate, const test::Key& key, std::string rest = {}) {
    auto passport = site.passport();
    passport.x5u = far_url;
    site.certificates_at[far_url] = certificate.pem() + rest;
    return site.assemble(passport, key);
  }
  std::string good() { return site.assemble(site.passport(), site.key); }

  const std::string far_url = "https://certs.b.example/1.pem";
  test::Site site;
};

TEST_F(Verification, PassesWhatTheRoleItselfSigned) {
  site.subscribe("sip:alice@a.example", "urn:uuid:5d0a6c1e-7b3f-4d5a-9a51-5a6c2f1f0b11", "xr-meeting");
  const auto verified = verify(site.sign(test::avatar_request()));
  ASSERT_TRUE(verified) << verified.error().detail;
  EXPECT_EQ(verified->passport.avatar->app, "xr-meeting");
  EXPECT_EQ(verified->signer.sha256_hex(), site.certificate.sha256_hex());
  EXPECT_EQ(site.fetches, 0);
}

TEST_F(Verification, PassesAnotherOperatorsAndFetchesItsCertificateOnce) {
  const auto key = test::make_key();
  const auto header = signed_by(site.stir.issue(test::signer_subject(site.now), key), key);
  EXPECT_EQ(reason(header), "");
  EXPECT_EQ(reason(header), "");
  EXPECT_EQ(site.fetches, 1);
}

TEST_F(Verification, PassesShakenByNumber) {
  auto passport = site.passport();
  passport.ppt = "shaken";
  passport.avatar.reset();
  passport.mky.clear();
  passport.orig = tokens::Identity::from_tn("17035550009").value();
  passport.dest = {tokens::Identity::from_tn("15715550000").value()};
  auto facts = call();
  facts.from = passport.orig;
  facts.to = passport.dest;
  facts.fingerprints.clear();
  EXPECT_EQ(reason(site.assemble(passport, site.key), facts), "");
}

// Step 1.
TEST_F(Verification, Step1RefusesWhatIsNoPassport) {
  EXPECT_EQ(reason("nonsense"), "identity-header-malformed");
  const auto header = good();
  const auto params = header.substr(header.find(';'));
  EXPECT_EQ(reason("a.b.c" + params), "passport-malformed");
  EXPECT_EQ(reason(header.substr(0, header.find('.')) + ".." + "c2ln" + params), "identity-compact-form");
}

TEST_F(Verification, Step1RefusesParametersThatDisagree) {
  const auto with = [&](const std::string& info, const std::string& alg, const std::string& ppt) {
    auto header = tokens::parse_identity_header(good()).value();
    header.info = info;
    header.alg = alg;
    header.ppt = ppt;
    return tokens::format_identity_header(header);
  };
  const std::string url = site.passport().x5u;
  EXPECT_EQ(reason(with(url, "ES256", "shaken")), "ppt-mismatch");
  EXPECT_EQ(reason(with(url, "ES384", "avatar")), "alg-mismatch");
  EXPECT_EQ(reason(with(url + "#", "ES256", "avatar")), "x5u-info-mismatch");
  EXPECT_EQ(reason(with("https://SIGN.a.example" + url.substr(22), "ES256", "avatar")), "x5u-info-mismatch");
  EXPECT_EQ(reason(with(url, "ES256", "avatar")), "");
}

TEST_F(Verification, Step1RefusesOtherKinds) {
  const auto with_header = [&](const json::object& header) {
    const auto claims = json::parse(tokens::parse_jws(tokens::parse_identity_header(good())->passport)->payload_text);
    const auto input = tokens::jws_signing_input(header, claims.as_object());
    tokens::IdentityHeader out{tokens::jws_assemble(input, test::sign_raw(site.key, as_bytes(input))),
                               site.passport().x5u, std::string(header.at("alg").as_string()), "avatar"};
    const auto ppt = header.if_contains("ppt");
    if (ppt != nullptr) out.ppt = std::string(ppt->as_string());
    return tokens::format_identity_header(out);
  };
  const std::string x5u = site.passport().x5u;
  EXPECT_EQ(reason(with_header({{"alg", "ES256"}, {"ppt", "avatar"}, {"typ", "passport"}, {"x5u", x5u}})), "");
  EXPECT_EQ(reason(with_header({{"alg", "ES256"}, {"ppt", "rph"}, {"typ", "passport"}, {"x5u", x5u}})),
            "ppt-unsupported");
  EXPECT_EQ(reason(with_header({{"alg", "ES256"}, {"ppt", "avatar"}, {"typ", "avatar-ue+jwt"}, {"x5u", x5u}})),
            "passport-type");
  EXPECT_NE(reason(with_header({{"alg", "none"}, {"ppt", "avatar"}, {"typ", "passport"}, {"x5u", x5u}})), "");
  EXPECT_NE(reason(with_header({{"alg", "HS256"}, {"ppt", "avatar"}, {"typ", "passport"}, {"x5u", x5u}})), "");
}

// Step 2.
TEST_F(Verification, Step2RefusesWhatIsNotFresh) {
  const auto header = good();
  for (const auto& [offset, expected] : std::initializer_list<std::pair<int, const char*>>{
           {60, ""}, {61, "iat-stale"}, {-60, ""}, {-61, "iat-future"}}) {
    site.now = test::test_now + offset;
    auto facts = call();
    facts.time = test::test_now;
    EXPECT_EQ(reason(header, facts), expected) << offset;
  }
}

TEST_F(Verification, Step2RefusesACallOfAnotherTime) {
  auto facts = call();
  facts.time = site.now + 61;
  EXPECT_EQ(reason(good(), facts), "date-stale");
  facts.time = site.now - 61;
  EXPECT_EQ(reason(good(), facts), "date-stale");
}

// Step 3.
TEST_F(Verification, Step3RefusesAnotherCaller) {
  auto facts = call();
  facts.from = tokens::Identity::from_uri("sip:mallory@a.example").value();
  EXPECT_EQ(reason(good(), facts), "orig-mismatch");
}

TEST_F(Verification, Step3RefusesAnotherCallee) {
  auto facts = call();
  facts.to = {tokens::Identity::from_uri("sip:carol@b.example").value()};
  EXPECT_EQ(reason(good(), facts), "dest-mismatch");
  facts.to.push_back(call().to.front());
  EXPECT_EQ(reason(good(), facts), "dest-mismatch");
}

TEST_F(Verification, Step3RefusesAnotherSdp) {
  auto facts = call();
  facts.fingerprints = {fingerprint_b};
  EXPECT_EQ(reason(good(), facts), "fingerprint-mismatch");
  facts.fingerprints = {fingerprint_a, fingerprint_b};
  EXPECT_EQ(reason(good(), facts), "fingerprint-mismatch");
  facts.fingerprints = {};
  EXPECT_EQ(reason(good(), facts), "fingerprint-missing");
  facts.fingerprints = {"SHA-1 00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33"};
  EXPECT_EQ(reason(good(), facts), "fingerprint-weak");
}

TEST_F(Verification, NothingIsFetchedBeforeSteps1To3Passed) {
  const auto key = test::make_key();
  const auto header = signed_by(site.stir.issue(test::signer_subject(site.now), key), key);
  auto facts = call();
  facts.fingerprints = {fingerprint_b};
  EXPECT_EQ(reason(header, facts), "fingerprint-mismatch");
  site.now += 61;
  EXPECT_EQ(reason(header), "iat-stale");
  EXPECT_EQ(site.fetches, 0);
}

// Step 4.
TEST_F(Verification, Step4RefusesWhatCannotBeFetched) {
  auto passport = site.passport();
  passport.x5u = "https://certs.b.example/none.pem";
  EXPECT_EQ(reason(site.assemble(passport, site.key)), "x5u-unreachable");
  passport.x5u = "https://evil.example/1.pem";
  EXPECT_EQ(reason(site.assemble(passport, site.key)), "x5u-host-not-allowed");
  passport.x5u = "https://sign.a.example/certs/" + std::string(64, '0') + ".pem";
  EXPECT_EQ(reason(site.assemble(passport, site.key)), "x5u-host-not-allowed");
}

// Step 5.
struct BadSigner {
  const char* name;
  const char* reason;
  void (*change)(test::Subject&);
};
class Step5 : public Verification, public testing::WithParamInterface<BadSigner> {};

TEST_P(Step5, RefusesTheSigner) {
  auto subject = test::signer_subject(site.now);
  GetParam().change(subject);
  const auto key = test::make_key();
  EXPECT_EQ(reason(signed_by(site.stir.issue(subject, key), key)), GetParam().reason);
}

const BadSigner bad_signers[] = {
    {"Ca", "certificate-is-ca",
     [](test::Subject& s) {
       s.extensions = {"basicConstraints=critical,CA:TRUE", "keyUsage=critical,digitalSignature,keyCertSign"};
     }},
    {"NoDigitalSignature", "certificate-key-usage",
     [](test::Subject& s) { s.extensions[1] = "keyUsage=critical,keyAgreement"; }},
    {"NoKeyUsage", "certificate-key-usage", [](test::Subject& s) { s.extensions.erase(s.extensions.begin() + 1); }},
    {"UeCertificate", "certificate-is-ue",
     [](test::Subject& s) { s.extensions.push_back("extendedKeyUsage=" + std::string(tokens::ue_eku_oid)); }},
    {"Expired", "certificate-expired", [](test::Subject& s) { s.not_after = test::test_now - 1; }},
    {"NotYetValid", "certificate-expired", [](test::Subject& s) { s.not_before = test::test_now + 1; }},
    {"ClaimConstraints", "certificate-constraints",
     [](test::Subject& s) { s.extensions.push_back("1.3.6.1.5.5.7.1.27=DER:3000"); }},
    {"EnhancedClaimConstraints", "certificate-constraints",
     [](test::Subject& s) { s.extensions.push_back("1.3.6.1.5.5.7.1.33=DER:3000"); }},
};
INSTANTIATE_TEST_SUITE_P(Signers, Step5, testing::ValuesIn(bad_signers),
                         [](const auto& test_case) { return std::string(test_case.param.name); });

TEST_F(Verification, Step5RefusesAnotherAuthority) {
  const auto key = test::make_key();
  EXPECT_EQ(reason(signed_by(site.tls.issue(test::signer_subject(site.now), key), key)), "certificate-untrusted");
}

TEST_F(Verification, Step5TakesIntermediatesFromTheFetchedChain) {
  const auto ca_key = test::make_key();
  const test::Authority middle{
      ca_key, site.stir.issue({"middle",
                               {},
                               {"basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign,cRLSign"},
                               site.now - 3600,
                               site.now + 3600},
                              ca_key)};
  const auto key = test::make_key();
  const auto leaf = middle.issue(test::signer_subject(site.now), key);
  EXPECT_EQ(reason(signed_by(leaf, key, middle.certificate.pem())), "");
}

TEST_F(Verification, Step5RefusesTheDeniedAtOnce) {
  const auto path = site.dir.write("denied", "# stolen\n" + site.certificate.sha256_hex() + "\n");
  EXPECT_EQ(reason(good()), "");
  auto config = site.config.trust;
  config.deny_list = path;
  const auto trust = signing::Trust::create(config);
  ASSERT_TRUE(trust) << trust.error().detail;
  const std::vector<tokens::Certificate> chain{site.certificate};
  EXPECT_EQ((*trust)->check(chain, site.now, site.now).error().reason, "certificate-denied");
}

TEST_F(Verification, Step5RefusesTheRevokedAfterAReload) {
  auto config = site.config.trust;
  config.crls = site.dir.write("crl.pem", site.stir.crl({}, site.now));
  const auto trust = signing::Trust::create(config);
  ASSERT_TRUE(trust) << trust.error().detail;
  const std::vector<tokens::Certificate> chain{site.certificate};
  EXPECT_TRUE((*trust)->check(chain, site.now, site.now));
  site.dir.write("crl.pem", site.stir.crl({site.certificate}, site.now));
  ASSERT_TRUE((*trust)->reload());
  EXPECT_EQ((*trust)->check(chain, site.now, site.now).error().reason, "certificate-revoked");
  site.dir.write("crl.pem", "broken");
  EXPECT_FALSE((*trust)->reload());
  EXPECT_EQ((*trust)->check(chain, site.now, site.now).error().reason, "certificate-revoked");
}

TEST_F(Verification, TrustFilesThatCannotBeReadAreNamed) {
  signing::TrustConfig config;
  config.anchors = site.dir.path() / "none.pem";
  auto trust = signing::Trust::create(config);
  ASSERT_FALSE(trust);
  EXPECT_EQ(trust.error().reason, "stir-anchors-unreadable");
  EXPECT_NE(trust.error().detail.find("none.pem"), std::string::npos);
  config = site.config.trust;
  config.deny_list = site.dir.write("denied", "\nabcd\n");
  trust = signing::Trust::create(config);
  ASSERT_FALSE(trust);
  EXPECT_EQ(trust.error().reason, "stir-deny-list-unreadable");
  EXPECT_NE(trust.error().detail.find(":2:"), std::string::npos);
}

TEST_F(Verification, Step5WantsTheCertificateValidAtIat) {
  auto subject = test::signer_subject(site.now);
  subject.not_before = site.now;
  const auto key = test::make_key();
  auto passport = site.passport();
  passport.x5u = far_url;
  passport.iat = site.now - 10;
  site.certificates_at[far_url] = site.stir.issue(subject, key).pem();
  EXPECT_EQ(reason(site.assemble(passport, key)), "certificate-not-valid-at-iat");
}

// Step 6.
TEST_F(Verification, Step6RefusesAHostThatTheSignerDoesNotHave) {
  auto subject = test::signer_subject(site.now);
  for (const char* san : {"DNS:b.example", "DNS:*.example", "DNS:sub.a.example", "URI:https://a.example"}) {
    subject.san = {san};
    const auto key = test::make_key();
    const std::string url = "https://certs.b.example/" + std::string(1, static_cast<char>('a' + site.fetches));
    auto passport = site.passport();
    passport.x5u = url;
    site.certificates_at[url] = site.stir.issue(subject, key).pem();
    EXPECT_EQ(reason(site.assemble(passport, key)), "certificate-not-authoritative") << san;
  }
}

TEST_F(Verification, Step6RefusesANumberOutsideTheList) {
  auto passport = site.passport();
  auto facts = call();
  passport.orig = facts.from = tokens::Identity::from_tn("17035550010").value();
  EXPECT_EQ(reason(site.assemble(passport, site.key), facts), "certificate-not-authoritative");
  passport.orig = facts.from = tokens::Identity::from_tn("17035550009").value();
  EXPECT_EQ(reason(site.assemble(passport, site.key), facts), "");
}

// Step 7.
TEST_F(Verification, Step7RefusesAnotherKeysSignature) {
  EXPECT_EQ(reason(site.assemble(site.passport(), test::make_key())), "signature-invalid");
}

TEST_F(Verification, Step7RefusesAnAlteredPassport) {
  const auto header = good();
  auto passport = site.passport();
  passport.avatar->id = "another-avatar";
  const auto altered = site.assemble(passport, test::make_key());
  const auto original = tokens::parse_identity_header(header)->passport;
  auto mixed = tokens::parse_identity_header(altered).value();
  mixed.passport = mixed.passport.substr(0, mixed.passport.rfind('.')) + original.substr(original.rfind('.'));
  EXPECT_EQ(reason(tokens::format_identity_header(mixed)), "signature-invalid");
}

// Step 8.
TEST_F(Verification, Step8RefusesAnotherCallWithTheSamePassport) {
  const auto header = good();
  auto facts = call();
  facts.call_id = "call-1";
  EXPECT_EQ(reason(header, facts), "");
  EXPECT_EQ(reason(header, facts), "");
  facts.call_id = "call-2";
  EXPECT_EQ(reason(header, facts), "passport-replayed");
  facts.call_id.reset();
  EXPECT_EQ(reason(header, facts), "");
}

TEST_F(Verification, Step8SeesThroughAnotherFormOfTheSignature) {
  const auto input = tokens::build_passport(site.passport(), tokens::Algorithm::es256).value();
  auto facts = call();
  for (const char* call_id : {"call-1", "call-2"}) {
    facts.call_id = call_id;
    tokens::IdentityHeader header{tokens::jws_assemble(input, test::sign_raw(site.key, as_bytes(input))),
                                  site.passport().x5u, "ES256", "avatar"};
    EXPECT_EQ(reason(tokens::format_identity_header(header), facts),
              facts.call_id == "call-1" ? "" : "passport-replayed");
  }
}

TEST_F(Verification, Step8KeepsNothingOfWhatFailedBefore) {
  auto facts = call();
  facts.call_id = "call-1";
  EXPECT_EQ(reason(site.assemble(site.passport(), test::make_key()), facts), "signature-invalid");
  EXPECT_EQ(site.shared.verification.replay->size(), 0U);
}

// For authorization.
TEST_F(Verification, ForAuthorizationTheCallsSetUpMayBeOlder) {
  auto& verifier = site.role->verifier();
  const auto header = good();
  site.now += 600;
  auto verified = test::run(site.context, verifier.verify_for_authorization(header, site.now, 600));
  ASSERT_TRUE(verified) << verified.error().detail;
  EXPECT_EQ(verified->passport.origid, test::origid);
  EXPECT_EQ(verified->signer.san_dns().front(), "a.example");
  verified = test::run(site.context, verifier.verify_for_authorization(header, site.now + 1, 600));
  EXPECT_EQ(verified.error().reason, "iat-stale");
  verified = test::run(site.context, verifier.verify_for_authorization(header, test::test_now - 61, 600));
  EXPECT_EQ(verified.error().reason, "iat-future");
}

TEST_F(Verification, ForAuthorizationOnlyAvatarsCount) {
  auto passport = site.passport();
  passport.ppt = "shaken";
  passport.avatar.reset();
  passport.mky.clear();
  const auto verified = test::run(
      site.context, site.role->verifier().verify_for_authorization(site.assemble(passport, site.key), site.now, 600));
  EXPECT_EQ(verified.error().reason, "ppt-unsupported");
}

TEST_F(Verification, ForAuthorizationTheSignerIsCheckedToo) {
  const auto verified = test::run(site.context, site.role->verifier().verify_for_authorization(
                                                    site.assemble(site.passport(), test::make_key()), site.now, 600));
  EXPECT_EQ(verified.error().reason, "signature-invalid");
}

TEST(SipStatus, FollowsTheStep) {
  const std::tuple<const char*, unsigned, const char*> cases[] = {
      {"iat-stale", 403, "Stale Date"},
      {"iat-future", 403, "Stale Date"},
      {"date-stale", 403, "Stale Date"},
      {"identity-missing", 428, "Use Identity Header"},
      {"ppt-unsupported", 428, "Use Supported PASSporT Format"},
      {"x5u-unreachable", 436, "Bad Identity Info"},
      {"x5u-info-mismatch", 436, "Bad Identity Info"},
      {"certificate-revoked", 437, "Unsupported Credential"},
      {"certificate-not-authoritative", 437, "Unsupported Credential"},
      {"certificate-not-authoritative-for-div", 437, "Unsupported Credential"},
      {"div-not-linked", 438, "Invalid Identity Header"},
      {"signature-invalid", 438, "Invalid Identity Header"},
      {"orig-mismatch", 438, "Invalid Identity Header"},
      {"passport-replayed", 438, "Invalid Identity Header"},
  };
  for (const auto& [reason, code, text] : cases) {
    const auto status = signing::sip_status(errors::make(Category::invalid, reason, ""));
    EXPECT_EQ(status.code, code) << reason;
    EXPECT_EQ(status.text, text) << reason;
  }
}

}  // namespace
}  // namespace avseal
