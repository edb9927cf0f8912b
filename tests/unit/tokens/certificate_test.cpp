#include "tokens/certificate.hpp"

#include <gtest/gtest.h>
#include <openssl/pem.h>

#include "support.hpp"
#include "tokens/base64.hpp"
#include "tokens/openssl.hpp"
#include "tokens/tn_auth_list.hpp"

namespace avseal::tokens {
namespace {

using testing::Authority;
using testing::CertificateOptions;
using testing::day;
using testing::now;
using testing::SigningKey;

constexpr const char* tn_auth_list_oid = "1.3.6.1.5.5.7.1.26";

Bytes hex(std::string_view text) {
  return hex_decode(text).value();
}

class CertificateTest : public ::testing::Test {
 protected:
  Authority root = Authority::root("root");
  SigningKey key;
};

TEST_F(CertificateTest, tells_what_it_says) {
  CertificateOptions options;
  options.subject = "signer, inc";
  options.san = "URI:urn:uuid:123e4567-e89b-12d3-a456-426655440000,DNS:A.Example,DNS:b.example,URI:sip:x@a.example";
  options.serial = 0x80;
  const Certificate certificate = root.issue(key.public_key(), options);
  EXPECT_EQ(certificate.subject(), "CN=signer\\, inc");
  EXPECT_EQ(certificate.issuer(), "CN=root");
  EXPECT_EQ(certificate.serial_hex(), "80");
  EXPECT_EQ(certificate.san_uris(),
            (std::vector<std::string>{"urn:uuid:123e4567-e89b-12d3-a456-426655440000", "sip:x@a.example"}));
  EXPECT_EQ(certificate.san_dns(), (std::vector<std::string>{"a.example", "b.example"}));
  EXPECT_EQ(certificate.not_before(), now - day);
  EXPECT_EQ(certificate.not_after(), now + day);
  EXPECT_TRUE(certificate.valid_at(now));
  EXPECT_FALSE(certificate.valid_at(now + day + 1));
  EXPECT_FALSE(certificate.valid_at(now - day - 1));
  EXPECT_EQ(certificate.public_key(), key.public_key());
  EXPECT_EQ(certificate.fingerprint(), Fingerprint::sha256_of(certificate.der()));
  EXPECT_EQ(certificate.sha256_hex(), hex_encode(certificate.fingerprint().bytes()));
  EXPECT_FALSE(certificate.is_ca());
  EXPECT_TRUE(certificate.has_digital_signature());
  EXPECT_FALSE(certificate.has_ue_eku());
  EXPECT_TRUE(root.certificate.is_ca());
  EXPECT_FALSE(root.certificate.has_digital_signature());
}

TEST_F(CertificateTest, without_key_usage_has_no_digital_signature) {
  CertificateOptions options;
  options.key_usage = "";
  EXPECT_FALSE(root.issue(key.public_key(), options).has_digital_signature());
}

TEST_F(CertificateTest, ue_eku_is_found_among_others) {
  CertificateOptions options;
  options.extended_key_usage = "clientAuth," + std::string(ue_eku_oid);
  EXPECT_TRUE(root.issue(key.public_key(), options).has_ue_eku());
  options.extended_key_usage = "clientAuth,2.25.1";
  EXPECT_FALSE(root.issue(key.public_key(), options).has_ue_eku());
}

TEST_F(CertificateTest, der_and_pem_round_trip) {
  const Certificate certificate = root.issue(key.public_key(), {});
  EXPECT_EQ(Certificate::from_der(certificate.der()).value().fingerprint(), certificate.fingerprint());
  EXPECT_EQ(Certificate::from_pem(certificate.pem()).value().der(), certificate.der());
  const auto chain = Certificate::chain_from_pem("leaf:\n" + certificate.pem() + "root:\n" + root.certificate.pem());
  ASSERT_EQ(chain.value().size(), 2U);
  EXPECT_EQ(chain.value()[1].der(), root.certificate.der());
}

TEST_F(CertificateTest, refuses_damaged_input) {
  Bytes der = root.certificate.der();
  der.push_back(0);
  EXPECT_EQ(Certificate::from_der(der).error().reason, "certificate-malformed");
  der.resize(der.size() - 2);
  EXPECT_FALSE(Certificate::from_der(der));
  EXPECT_FALSE(Certificate::from_der({}));
  EXPECT_FALSE(Certificate::from_pem(""));
  EXPECT_FALSE(Certificate::from_pem("text"));
  EXPECT_FALSE(Certificate::from_pem(root.certificate.pem().substr(0, 200)));
  EXPECT_FALSE(Certificate::chain_from_pem(root.certificate.pem() +
                                           "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"));
  std::string nine;
  for (int i = 0; i < 9; ++i) nine += root.certificate.pem();
  EXPECT_FALSE(Certificate::chain_from_pem(nine));
  EXPECT_EQ(ERR_peek_error(), 0U) << "errors left on OpenSSL's queue";
}

TEST_F(CertificateTest, refuses_ber) {
  // The outer SEQUENCE with a longer length form than needed: same content, another fingerprint.
  const Bytes& der = root.certificate.der();
  ASSERT_EQ(der[1], 0x82);
  Bytes ber{0x30, 0x83, 0x00};
  ber.insert(ber.end(), der.begin() + 2, der.end());
  EXPECT_FALSE(Certificate::from_der(ber));
}

TEST_F(CertificateTest, refuses_other_keys) {
  const ssl::Pkey rsa(EVP_PKEY_Q_keygen(nullptr, nullptr, "RSA", std::size_t{2048}));
  const ssl::X509Ptr x509(X509_new());
  X509_set_version(x509.get(), X509_VERSION_3);
  X509_gmtime_adj(X509_getm_notBefore(x509.get()), 0);
  X509_gmtime_adj(X509_getm_notAfter(x509.get()), 60);
  X509_set_pubkey(x509.get(), rsa.get());
  X509_sign(x509.get(), rsa.get(), EVP_sha256());
  const auto certificate = Certificate::from_native(x509.get());
  ASSERT_FALSE(certificate);
  EXPECT_EQ(certificate.error().reason, "public-key-invalid");
  EXPECT_NE(certificate.error().detail.find("P-256 or P-384"), std::string::npos);
}

TEST_F(CertificateTest, refuses_nul_in_names) {
  // GeneralNames with dNSName "a.example\0.evil"
  CertificateOptions options;
  options.extensions = {{"2.5.29.17", hex("3010820e612e6578616d706c65002e65"
                                          "7669")}};
  EXPECT_THROW(root.issue(key.public_key(), options), std::logic_error);
}

TEST_F(CertificateTest, signer_usage) {
  EXPECT_TRUE(check_signer_usage(root.issue(key.public_key(), {})));
  EXPECT_EQ(check_signer_usage(root.certificate).error().reason, "certificate-is-ca");
  CertificateOptions options;
  options.key_usage = "critical,keyAgreement";
  EXPECT_EQ(check_signer_usage(root.issue(key.public_key(), options)).error().reason, "certificate-key-usage");
  EXPECT_EQ(check_signer_usage(root.issue(key.public_key(), testing::ue_options("sip:a@b"))).error().reason,
            "certificate-of-ue");
}

// SEQUENCE { [0] "1234", [1] { "12155550100", 200 }, [2] "12155551212" }
const char* const three_entries =
    "302c"
    "a006160431323334"
    "a1133011160b3132313535353530313030020200c8"
    "a20d160b3132313535353531323132";

TEST_F(CertificateTest, tn_auth_list_is_read) {
  CertificateOptions options;
  options.extensions = {{tn_auth_list_oid, hex(three_entries)}};
  const Certificate certificate = root.issue(key.public_key(), options);
  ASSERT_EQ(certificate.tn_auth_list().size(), 2U);
  EXPECT_EQ(certificate.tn_auth_list()[0].start, "12155550100");
  EXPECT_EQ(certificate.tn_auth_list()[0].count, 200);
  EXPECT_EQ(certificate.tn_auth_list()[1].start, "12155551212");
  EXPECT_EQ(certificate.tn_auth_list()[1].count, 1);
}

TEST(TnAuthList, service_provider_codes_name_no_number) {
  EXPECT_TRUE(parse_tn_auth_list(hex("3008a006160431323334")).value().empty());
}

TEST(TnAuthList, malformed_ones_are_refused) {
  for (const char* text : {"", "30", "3000", "0400",
                           "3008a006160431323334"
                           "00",
                           "3080a0061604313233340000",
                           "3006160431323334",                                    // untagged
                           "3008a306160431323334",                                // unknown choice
                           "3008a20616043132333a",                                // not a digit
                           "3004a2021600",                                        // empty number
                           "3008a2060c0431323334",                                // UTF8String
                           "3016a214161231323334353637383930313233343536373839",  // 18 digits
                           "300da10b3009160431323334020101",                      // count 1
                           "300ea10c300a1604313233340202000a",                    // count not minimal
                           "300da10b30091604313233340201ff",                      // negative count
                           "300aa1083006160431323334",                            // no count
                           "3009a206160431323334"
                           "05"}) {  // length beyond the end
    const auto ranges = parse_tn_auth_list(hex(text));
    ASSERT_FALSE(ranges) << text;
    EXPECT_EQ(ranges.error().reason, "certificate-malformed") << text;
  }
}

TEST(TnAuthList, is_bounded) {
  Bytes entries;
  for (int i = 0; i < 1001; ++i) {
    for (const char c : std::string_view("\xA2\x03\x16\x01\x31")) entries.push_back(static_cast<std::uint8_t>(c));
  }
  Bytes der{0x30, 0x82, static_cast<std::uint8_t>(entries.size() >> 8U), static_cast<std::uint8_t>(entries.size())};
  der.insert(der.end(), entries.begin(), entries.end());
  EXPECT_FALSE(parse_tn_auth_list(der));
}

TEST(TnRangeType, contains_numbers_of_its_length) {
  const TnRange range{"12155550199", 3};
  EXPECT_FALSE(range.contains("12155550198"));
  EXPECT_TRUE(range.contains("12155550199"));
  EXPECT_TRUE(range.contains("12155550201"));
  EXPECT_FALSE(range.contains("12155550202"));
  EXPECT_FALSE(range.contains("012155550200"));
  EXPECT_FALSE(range.contains(""));
  EXPECT_FALSE(range.contains("1215555020x"));
  EXPECT_FALSE((TnRange{"99", 5}.contains("100"))) << "of another length";
  EXPECT_TRUE((TnRange{"*67", 1}.contains("*67")));
  EXPECT_FALSE((TnRange{"*67", 9}.contains("*68")));
}

class TrustTest : public CertificateTest {
 protected:
  Authority middle = root.intermediate("middle");
  Certificate leaf = middle.issue(key.public_key(), {});

  static std::string_view verdict(const Result<void>& result) { return result ? "ok" : result.error().reason; }
};

TEST_F(TrustTest, chains_through_an_intermediate) {
  const TrustAnchors anchors = root.anchors();
  EXPECT_EQ(verdict(anchors.verify(leaf, std::span(&middle.certificate, 1), now)), "ok");
  EXPECT_EQ(verdict(anchors.verify(leaf, {}, now)), "certificate-untrusted");
  EXPECT_EQ(anchors.pem(), root.certificate.pem());
}

TEST_F(TrustTest, ue_certificates_verify_in_spite_of_their_usage) {
  const Certificate ue = root.issue(key.public_key(), testing::ue_options("sip:alice@a.example"));
  EXPECT_EQ(verdict(root.anchors().verify(ue, {}, now)), "ok");
}

TEST_F(TrustTest, other_root_of_the_same_name_is_not_trusted) {
  const Authority impostor = Authority::root("root");
  EXPECT_EQ(verdict(root.anchors().verify(impostor.issue(key.public_key(), {}), {}, now)), "certificate-untrusted");
  EXPECT_EQ(verdict(root.anchors().verify(impostor.certificate, {}, now)), "certificate-untrusted");
}

TEST_F(TrustTest, leaf_cannot_issue) {
  const Authority fake{key, root.issue(key.public_key(), {})};
  const Certificate forged = fake.issue(SigningKey().public_key(), {});
  EXPECT_EQ(verdict(root.anchors().verify(forged, std::span(&fake.certificate, 1), now)), "certificate-untrusted");
}

TEST_F(TrustTest, time_is_the_callers) {
  const TrustAnchors anchors = root.anchors();
  const Certificate direct = root.issue(key.public_key(), {});
  EXPECT_EQ(verdict(anchors.verify(direct, {}, now + day + 1)), "certificate-expired");
  EXPECT_EQ(verdict(anchors.verify(direct, {}, now - day - 1)), "certificate-expired");
}

TEST_F(TrustTest, unknown_critical_extension_is_refused) {
  CertificateOptions options;
  options.extensions = {{"2.25.42", hex("0500")}};
  EXPECT_EQ(verdict(root.anchors().verify(root.issue(key.public_key(), options), {}, now)), "ok");
  options.critical_extensions = true;
  EXPECT_EQ(verdict(root.anchors().verify(root.issue(key.public_key(), options), {}, now)), "certificate-untrusted");
}

TEST_F(TrustTest, crls_revoke_and_must_exist_for_the_issuer) {
  CertificateOptions options;
  options.serial = 7;
  const Certificate direct = root.issue(key.public_key(), options);
  const auto with = [&](const std::string& crl) { return TrustAnchors::create(root.certificate.pem(), crl).value(); };
  EXPECT_EQ(verdict(with(root.crl_pem({8})).verify(direct, {}, now)), "ok");
  EXPECT_EQ(verdict(with(root.crl_pem({7, 8})).verify(direct, {}, now)), "certificate-revoked");
  EXPECT_EQ(verdict(with(root.crl_pem({7})).verify(leaf, std::span(&middle.certificate, 1), now)),
            "certificate-untrusted")
      << "no CRL of the intermediate";
  EXPECT_EQ(verdict(with(root.crl_pem({8})).verify(direct, {}, now + day - 1)), "ok");
  options.not_after = now + 20 * day;
  EXPECT_EQ(verdict(with(root.crl_pem({8})).verify(root.issue(key.public_key(), options), {}, now + 2 * day)),
            "certificate-untrusted")
      << "CRL out of date";
  const Authority impostor = Authority::root("root");
  EXPECT_EQ(verdict(with(impostor.crl_pem({})).verify(direct, {}, now)), "certificate-untrusted");
}

TEST_F(TrustTest, anchors_are_self_signed_cas) {
  for (const std::string& pem : {std::string(), std::string("text"), leaf.pem(), middle.certificate.pem(),
                                 root.certificate.pem() + leaf.pem(), root.certificate.pem().substr(0, 300)}) {
    const auto anchors = TrustAnchors::create(pem);
    ASSERT_FALSE(anchors);
    EXPECT_EQ(anchors.error().reason, "trust-anchors-invalid");
  }
  EXPECT_FALSE(TrustAnchors::create(root.certificate.pem(), "no CRL"));
  EXPECT_TRUE(TrustAnchors::create(root.certificate.pem() + Authority::root("other").certificate.pem()));
}

}  // namespace
}  // namespace avseal::tokens
