#include "enrollment/role.hpp"

#include <openssl/pkcs7.h>

#include "site.hpp"

namespace avseal::enrollment {
namespace {

using http::Method;
using test::make_csr;
using test::make_key;
using test::reason_of;

class EnrollmentRole : public ::testing::Test, protected test::EnrollmentSite {
 protected:
  static std::vector<tokens::Certificate> certificates(const http::Response& response) {
    std::vector<tokens::Certificate> out;
    const auto body = boost::json::parse(response.body);
    for (const auto& pem : body.at("certificates").as_array())
      out.push_back(tokens::Certificate::from_pem(std::string_view(pem.as_string())).value());
    return out;
  }
  http::Response post_code(const boost::json::value& body, const tokens::Certificate* peer) {
    return node.json(Method::post, "/enrollment/v1/codes", peer, body);
  }
  http::Response revoke(const std::string& x5t, const tokens::Certificate* peer) {
    return node.json(Method::post, "/enrollment/v1/certificates/" + x5t + "/revoke", peer, {{"reason", "lost"}});
  }
  std::optional<store::UeCertificate> device(const tokens::Certificate& certificate) {
    auto find = node.store->ue_certificates().find(certificate.fingerprint().to_x5t());
    return test::run(node.context, std::move(find)).value();
  }
};

TEST_F(EnrollmentRole, ACodeAndACsrBecomeACertificate) {
  const auto issued = post_code(
      {{"impu", "SIP:Alice@A.Example;x=y"}, {"lifetime", 600}, {"simple", true}, {"reason", "no TPM"}}, &operator_);
  ASSERT_EQ(issued.status, 201U) << issued.body;
  const auto body = boost::json::parse(issued.body);
  EXPECT_EQ(body.at("impu").as_string(), "sip:Alice@a.example");
  EXPECT_EQ(body.at("expires").as_int64(), node.now + 600);
  const std::string code(body.at("code").as_string());
  EXPECT_EQ(code.size(), 32U);

  const auto key = make_key();
  const auto response = enroll(code, tokens::request_pem(make_csr(key, "URI:sip:Alice@a.example")));
  ASSERT_EQ(response.status, 201U) << response.body;
  const auto chain = certificates(response);
  ASSERT_EQ(chain.size(), 2U);
  const auto& leaf = chain.front();
  EXPECT_EQ(leaf.san_uris(), std::vector<std::string>{"sip:Alice@a.example"});
  EXPECT_EQ(leaf.public_key(), test::public_of(key));
  EXPECT_TRUE(leaf.has_ue_eku());
  EXPECT_FALSE(leaf.is_ca());
  EXPECT_TRUE(leaf.valid_at(node.now));
  EXPECT_EQ(leaf.not_after() - leaf.not_before(), config.certificate_lifetime);
  const auto anchors = tokens::TrustAnchors::create(ue_ca.certificate.pem()).value();
  EXPECT_TRUE(anchors.verify(leaf, {}, node.now));
  EXPECT_EQ(chain.back().der(), ue_ca.certificate.der());

  const auto known = device(leaf);
  ASSERT_TRUE(known);
  EXPECT_EQ(known->impu.canonical(), "sip:Alice@a.example");
  EXPECT_EQ(known->not_after, leaf.not_after());
  EXPECT_FALSE(known->revoked(node.now));
}

TEST_F(EnrollmentRole, ACsrNeedNotNameTheIdentity) {
  const auto response = enroll(code("tel:+17035550001"), make_csr(make_key()));
  ASSERT_EQ(response.status, 201U) << response.body;
  EXPECT_EQ(certificates(response).front().san_uris(), std::vector<std::string>{"tel:+17035550001"});
}

TEST_F(EnrollmentRole, OnlyOperatorsInvite) {
  EXPECT_EQ(post_code({{"impu", "sip:a@a.example"}}, nullptr).status, 401U);
  EXPECT_EQ(post_code({{"impu", "sip:a@a.example"}}, &ims_as).status, 403U);
  EXPECT_EQ(reason_of(post_code({{"impu", "alice"}}, &operator_)), "impu-invalid");
  EXPECT_EQ(reason_of(post_code({{"impu", "sip:a@a.example"}, {"lifetime", 59}}, &operator_)), "code-lifetime");
  EXPECT_EQ(reason_of(post_code({{"impu", "sip:a@a.example"}, {"lifetime", 604'801}}, &operator_)), "code-lifetime");
  EXPECT_EQ(reason_of(post_code({{"impu", "sip:a@a.example"}, {"code", "mine"}}, &operator_)), "member-unknown");
  EXPECT_EQ(reason_of(post_code({{"impu", "sip:a@a.example"}, {"simple", true}}, &operator_)), "code-reason");
  EXPECT_EQ(reason_of(post_code({{"impu", "sip:a@a.example"}, {"reason", "why"}}, &operator_)), "code-reason");
  EXPECT_EQ(
      reason_of(post_code({{"impu", "sip:a@a.example"}, {"simple", true}, {"reason", "for b@a.example"}}, &operator_)),
      "code-reason");
  EXPECT_EQ(reason_of(post_code(boost::json::object{}, &operator_)), "member-missing");
}

TEST_F(EnrollmentRole, WrongSpentAndExpiredCodes) {
  const auto csr = make_csr(make_key());
  EXPECT_EQ(reason_of(enroll(new_code(), csr)), "enrolment-code-invalid");
  EXPECT_EQ(enroll("short", csr).status, 401U);
  EXPECT_EQ(enroll(std::string(32, 'g'), csr).status, 401U);
  const auto spent = code();
  EXPECT_EQ(enroll(spent, csr).status, 201U);
  EXPECT_EQ(enroll(spent, csr).status, 401U);
  const auto expired = code();
  node.now += config.code_lifetime;
  EXPECT_EQ(enroll(expired, csr).status, 401U);
  EXPECT_EQ(node.keyring->signatures, 1);
}

TEST_F(EnrollmentRole, TheSimpleFormNeedsACodeThatWasInvitedForIt) {
  const auto attested = code("sip:alice@a.example", false);
  const auto response = enroll(attested, make_csr(make_key()));
  EXPECT_EQ(response.status, 403U);
  EXPECT_EQ(reason_of(response), "enrolment-simple-refused");
  EXPECT_EQ(reason_of(enroll(attested, make_csr(make_key()))), "enrolment-simple-refused") << "it was not spent";
  EXPECT_EQ(node.keyring->signatures, 0);
}

TEST_F(EnrollmentRole, TheIdentityComesFromTheCodeAlone) {
  const auto good = code("sip:alice@a.example");
  for (const char* san :
       {"URI:sip:bob@a.example", "URI:sip:alice@a.example,URI:sip:bob@a.example", "URI:https://a.example"}) {
    const auto response = enroll(good, make_csr(make_key(), san));
    EXPECT_EQ(response.status, 400U) << san;
    EXPECT_EQ(reason_of(response), "csr-identity") << san;
    EXPECT_NE(response.body.find("can be used again"), std::string::npos);
  }
  EXPECT_EQ(enroll(good, make_csr(make_key(), "URI:sip:alice@A.example")).status, 201U);
}

TEST_F(EnrollmentRole, RefusedCsrsDoNotSpendTheCode) {
  const auto good = code();
  auto forged = make_csr(make_key());
  forged.back() ^= 0x01;
  EXPECT_EQ(enroll(good, forged).status, 400U);
  const auto key = make_key();
  auto swapped_key = make_csr(key);
  const auto own = test::public_of(key).point();
  const auto other = test::public_of(make_key()).point();
  const auto at = std::search(swapped_key.begin(), swapped_key.end(), own.begin(), own.end());
  ASSERT_NE(at, swapped_key.end());
  std::copy(other.begin(), other.end(), at);
  EXPECT_EQ(enroll(good, swapped_key).status, 400U);
  EXPECT_EQ(reason_of(enroll(good, make_csr(make_key("P-384")))), "csr-key-type");
  EXPECT_EQ(enroll(good, make_csr(make_key("P-521"))).status, 400U);
  EXPECT_EQ(enroll(good, make_csr(test::make_rsa_key())).status, 400U);
  EXPECT_EQ(reason_of(enroll(good, Bytes(8'193, 0x30))), "csr-malformed");
  EXPECT_EQ(reason_of(enroll(good, std::string(20'000, 'A'))), "csr-malformed");
  EXPECT_EQ(reason_of(enroll(good, std::string("%%%"))), "csr-malformed");
  EXPECT_EQ(reason_of(enroll(good, std::string())), "csr-malformed");
  EXPECT_EQ(reason_of(enroll(good, std::string("-----BEGIN CERTIFICATE REQUEST-----\nx"))), "csr-malformed");
  EXPECT_EQ(reason_of(enroll(good, ue_ca.certificate.pem())), "csr-malformed");
  EXPECT_EQ(enroll(good, ue_ca.certificate.der()).status, 400U);
  EXPECT_EQ(node.keyring->signatures, 0);
  EXPECT_EQ(enroll(good, make_csr(make_key())).status, 201U);
}

TEST_F(EnrollmentRole, ABlinkOfTheHsmGivesTheCodeBack) {
  const auto good = code();
  const auto csr = make_csr(make_key());
  node.keyring->failure = errors::make(Category::unavailable, "hsm-unavailable", "no worker");
  const auto refused = enroll(good, csr);
  EXPECT_EQ(refused.status, 503U);
  EXPECT_NE(refused.body.find("the enrolment code can be used again"), std::string::npos);
  node.keyring->failure.reset();
  EXPECT_EQ(enroll(good, csr).status, 201U);
}

TEST_F(EnrollmentRole, NothingIsIssuedUnlogged) {
  const auto good = code();
  node.ledger->close();
  EXPECT_EQ(enroll(good, make_csr(make_key())).status, 503U);
  EXPECT_EQ(node.keyring->signatures, 0);
  EXPECT_EQ(post_code({{"impu", "sip:a@a.example"}}, &operator_).status, 503U);
}

TEST_F(EnrollmentRole, AttemptsAreLimitedPerAddressBeforeAnythingElse) {
  const auto good = code();
  for (unsigned i = 0; i < config.burst; ++i) EXPECT_NE(enroll("x", std::string("y")).status, 429U);
  const auto limited = enroll(good, make_csr(make_key()));
  EXPECT_EQ(limited.status, 429U);
  EXPECT_EQ(reason_of(limited), "enrolment-rate-limited");
  EXPECT_EQ(node.keyring->signatures, 0);
}

TEST_F(EnrollmentRole, RevokesDevices) {
  const auto leaf = certificates(enroll(code(), make_csr(make_key()))).front();
  const auto x5t = leaf.fingerprint().to_x5t();
  EXPECT_EQ(revoke(x5t, nullptr).status, 401U);
  EXPECT_EQ(revoke(x5t, &ims_as).status, 403U);
  EXPECT_EQ(revoke(ue_ca.certificate.fingerprint().to_x5t(), &operator_).status, 404U);
  EXPECT_EQ(revoke("not-a-fingerprint", &operator_).status, 400U);
  EXPECT_FALSE(device(leaf)->revoked(node.now));
  EXPECT_EQ(revoke(x5t, &operator_).status, 204U);
  EXPECT_TRUE(device(leaf)->revoked(node.now));
}

TEST_F(EnrollmentRole, CaCertificatesAsEstWantsThem) {
  auto request = node.request(Method::get, "/.well-known/est/cacerts", nullptr);
  const auto response = node.call(request);
  ASSERT_EQ(response.status, 200U);
  std::string flat;
  for (const char c : response.body)
    if (c != '\n') flat.push_back(c);
  const auto der = tokens::base64_decode(flat).value();
  const auto* at = der.data();
  const std::unique_ptr<PKCS7, decltype(&PKCS7_free)> message(d2i_PKCS7(nullptr, &at, static_cast<long>(der.size())),
                                                              &PKCS7_free);
  ASSERT_TRUE(message && PKCS7_type_is_signed(message.get()));
  ASSERT_EQ(sk_X509_num(message->d.sign->cert), 1);
  EXPECT_EQ(tokens::Certificate::from_native(sk_X509_value(message->d.sign->cert, 0))->der(), ue_ca.certificate.der());
}

TEST_F(EnrollmentRole, LeavesNameNobodyAndHoldNoCode) {
  const auto good = code();
  const auto leaf = certificates(enroll(good, make_csr(make_key()))).front();
  revoke(leaf.fingerprint().to_x5t(), &operator_);
  std::vector<std::string> events;
  for (const auto& entry : node.leaves()) {
    const auto text = boost::json::serialize(entry);
    if (entry.at("event").as_string() == "enrolment.code") {
      EXPECT_NE(text.find(R"("simple":"a test")"), std::string::npos) << "why there is an exception";
    }
    EXPECT_EQ(text.find("alice"), std::string::npos);
    EXPECT_EQ(text.find(good), std::string::npos);
    events.emplace_back(entry.at("event").as_string());
  }
  EXPECT_EQ(events, (std::vector<std::string>{"ledger.start", "enrolment.code", "issue.ue-certificate",
                                              "revoke.ue-certificate", "ledger.stop"}));
}

}  // namespace
}  // namespace avseal::enrollment
