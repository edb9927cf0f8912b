#include "attestation/ek_certificate.hpp"

#include <algorithm>
#include <array>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/attestation/maker.hpp"
#include "tokens/base64.hpp"
#include "tokens/digest.hpp"

namespace avseal::attestation {
namespace {

using namespace testing;

class EkCertificateTest : public ::testing::Test {
 protected:
  std::string reason(std::string_view key_type, const CertificateFields& fields) {
    const ssl::Pkey key = make_key(key_type);
    const auto read = EkCertificate::read(der_of(root_.issue(key.get(), fields).get()));
    return read ? "" : std::string(read.error().reason);
  }
  std::string reason_without(const std::string& oid) {
    CertificateFields fields;
    std::erase_if(fields.alternative_name, [&](const auto& name) { return name.first == oid; });
    return reason("rsa-2048", fields);
  }
  Authority root_ = Authority::root("vendor");
};

TEST_F(EkCertificateTest, ReadsEveryTypeOfKey) {
  for (const auto& [key_type, expected] :
       std::map<std::string, EkType>{{"rsa-2048", EkType::rsa2048}, {"P-256", EkType::p256}, {"P-384", EkType::p384}}) {
    const ssl::Pkey key = make_key(key_type);
    const auto certificate = root_.issue(key.get(), ek_fields(key_type));
    const auto ek = EkCertificate::read(der_of(certificate.get()));
    ASSERT_TRUE(ek) << ek.error().detail;
    EXPECT_EQ(ek->key().type, expected);
    EXPECT_EQ(ek->device_id(), tokens::hex_encode(tokens::sha256(ssl::to_der<const EVP_PKEY>(i2d_PUBKEY, key.get()))));
    EXPECT_EQ(ek->tpm().vendor, st);
    EXPECT_EQ(ek->tpm().model, "ST33");
    EXPECT_EQ(ek->tpm().version, "id:00010102");
  }
}

TEST_F(EkCertificateTest, VendorIsInUpperCaseEvenIfItsCertificatesAreNot) {
  CertificateFields fields;
  fields.alternative_name[0].second = "id:53544d20";
  const auto ek = EkCertificate::read(der_of(root_.issue(make_key("rsa-2048").get(), fields).get()));
  EXPECT_EQ(ek.value().tpm().vendor, st);
}

TEST_F(EkCertificateTest, AnEvenModulusIsNoKey) {
  Bytes der = der_of(root_.issue(make_key("rsa-2048").get(), {}).get());
  constexpr std::array<std::uint8_t, 5> exponent{0x02, 0x03, 0x01, 0x00, 0x01};  // it follows the modulus
  const auto at = std::search(der.begin(), der.end(), exponent.begin(), exponent.end());
  ASSERT_NE(at, der.end());
  *(at - 1) ^= 1U;
  const auto read = EkCertificate::read(der);
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().reason, "ek-key-unsupported");
}

TEST_F(EkCertificateTest, NothingButOneCertificateIsRead) {
  Bytes der = der_of(root_.issue(make_key("rsa-2048").get(), {}).get());
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, der.size() / 2, der.size() - 1}) {
    EXPECT_EQ(EkCertificate::read(ByteView(der).first(size)).error().reason, "ek-certificate-malformed") << size;
  }
  der.push_back(0xFF);  // as NV indices are padded
  const auto padded = EkCertificate::read(der);
  ASSERT_FALSE(padded);
  EXPECT_EQ(padded.error().reason, "ek-certificate-malformed");
  EXPECT_THAT(padded.error().detail, ::testing::HasSubstr("padding"));
  EXPECT_EQ(EkCertificate::read(Bytes(ek_certificate_max_size + 1)).error().reason, "ek-certificate-malformed");
}

TEST_F(EkCertificateTest, OtherKeysAreUnsupported) {
  EXPECT_EQ(reason("rsa-3072", ek_fields("rsa")), "ek-key-unsupported");
  EXPECT_EQ(reason("P-521", ek_fields("P-521")), "ek-key-unsupported");
  EXPECT_EQ(reason("secp256k1", ek_fields("P-256")), "ek-key-unsupported");
}

TEST_F(EkCertificateTest, CompressedPointIsUnsupported) {
  const ssl::Pkey key = make_key("P-256");
  EVP_PKEY_set_utf8_string_param(key.get(), "point-format", "compressed");
  const auto read = EkCertificate::read(der_of(root_.issue(key.get(), ek_fields("P-256")).get()));
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().reason, "ek-key-unsupported");
}

TEST_F(EkCertificateTest, UsageIsThatOfAnEndorsementKey) {
  CertificateFields fields;
  fields.extended_usage.clear();
  EXPECT_EQ(reason("rsa-2048", fields), "ek-certificate-eku");
  fields.extended_usage = "clientAuth";
  EXPECT_EQ(reason("rsa-2048", fields), "ek-certificate-eku");
  fields = {};
  fields.key_usage = "critical,keyAgreement";
  EXPECT_EQ(reason("rsa-2048", fields), "ek-certificate-key-usage");
  EXPECT_EQ(reason("P-256", CertificateFields{}), "ek-certificate-key-usage");
  fields.key_usage.clear();
  EXPECT_EQ(reason("rsa-2048", fields), "ek-certificate-key-usage");
  fields.key_usage = "critical,keyEncipherment,keyCertSign";
  EXPECT_EQ(reason("rsa-2048", fields), "ek-certificate-key-usage");
  fields = {};
  fields.ca = true;
  EXPECT_EQ(reason("rsa-2048", fields), "ek-certificate-is-ca");
}

TEST_F(EkCertificateTest, EachOfTheThreeTpmAttributesIsThereOnce) {
  for (const char* oid : {"2.23.133.2.1", "2.23.133.2.2", "2.23.133.2.3"}) {
    EXPECT_EQ(reason_without(oid), "ek-certificate-san") << oid;
    CertificateFields twice;
    twice.alternative_name.emplace_back(oid, "id:00000000");
    EXPECT_EQ(reason("rsa-2048", twice), "ek-certificate-san") << oid;
  }
  CertificateFields fields;
  fields.alternative_name.clear();
  EXPECT_EQ(reason("rsa-2048", fields), "ek-certificate-san");
  for (const char* vendor : {"53544D20", "id:53544D2", "id:53544D200", "id:53544DXX", "ID:53544D20"}) {
    fields = {};
    fields.alternative_name[0].second = vendor;
    EXPECT_EQ(reason("rsa-2048", fields), "ek-certificate-san") << vendor;
  }
}

}  // namespace
}  // namespace avseal::attestation
