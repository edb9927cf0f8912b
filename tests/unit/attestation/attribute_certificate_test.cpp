#include "attestation/attribute_certificate.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "attestation/platform_certificate.hpp"
#include "tests/unit/attestation/maker.hpp"
#include "tokens/base64.hpp"
#include "tokens/der.hpp"

namespace avseal::attestation {
namespace {

using namespace testing;
namespace der = tokens::der;

Bytes join(std::initializer_list<Bytes> parts) {
  Bytes out;
  for (const Bytes& part : parts) out.insert(out.end(), part.begin(), part.end());
  return out;
}
Bytes seq(std::initializer_list<Bytes> parts) {
  return der::element(der::sequence, join(parts));
}
Bytes hex(std::string_view text) {
  return tokens::hex_decode(text).value();
}
Bytes name_of(const X509_NAME* name) {
  return ssl::to_der<const X509_NAME>(i2d_X509_NAME, const_cast<X509_NAME*>(name));
}
Bytes general_names(const Bytes& name) {
  return seq({der::element(0xA4, name)});
}
Bytes time(std::string_view text) {
  return der::element(0x18, as_bytes(text));
}
// The extension with these attributes, by the DER of their OIDs.
Bytes alternative_name(const Names& attributes) {
  Bytes name;
  for (const auto& [oid, value] : attributes) {
    const Bytes one = der::element(der::set, seq({hex(oid), der::element(0x0C, as_bytes(value))}));
    name.insert(name.end(), one.begin(), one.end());
  }
  return seq({hex("0603551d11"), hex("0101ff"),
              der::element(der::octet_string, general_names(der::element(der::sequence, name)))});
}

class AttributeCertificateTest : public ::testing::Test {
 protected:
  AttributeCertificateTest() {
    CertificateFields signing = platform_fields();
    signing.subject = "ExampleMaker platform signer";
    signing.key_usage = "critical,digitalSignature";
    signing.extended_usage.clear();
    signing.alternative_name.clear();
    signer_certificate_ = maker_.issue(signer_.get(), signing);
    holder_ = seq({der::element(0xA0, join({general_names(name_of(X509_get_issuer_name(ek_.native()))), serial()}))});
    issuer_ = der::element(0xA0, general_names(name_of(X509_get_subject_name(signer_certificate_.get()))));
    chain_ = {der_of(signer_certificate_.get())};
  }

  [[nodiscard]] Bytes serial() const {
    return ssl::to_der<const ASN1_INTEGER>(i2d_ASN1_INTEGER,
                                           const_cast<ASN1_INTEGER*>(X509_get0_serialNumber(ek_.native())));
  }
  [[nodiscard]] Bytes info() const {
    return seq(
        {version_, holder_, issuer_, algorithm_, hex("02012a"), seq({from_, to_}), seq({}), seq({names_, more_})});
  }
  [[nodiscard]] Bytes signed_by(EVP_PKEY* key) const {
    Bytes bits{0};
    const Bytes signature = sign(key, info());
    bits.insert(bits.end(), signature.begin(), signature.end());
    return seq({info(), algorithm_, der::element(der::bit_string, bits)});
  }
  [[nodiscard]] Result<PlatformIdentity> verify(const Bytes& certificate, ChainOptions options = {}) const {
    return verify_platform_certificate(certificate, ek_, chain_, anchors_, options, now);
  }
  [[nodiscard]] std::string reason() const {
    const auto verified = verify(signed_by(signer_.get()));
    return verified ? "" : std::string(verified.error().reason);
  }

  Authority vendor_ = Authority::root("vendor");
  Authority maker_ = Authority::root("maker");
  ssl::Pkey signer_ = make_key("P-256");
  ssl::X509Ptr signer_certificate_;
  EkCertificate ek_ = EkCertificate::read(der_of(vendor_.issue(make_key("rsa-2048").get(), {}).get())).value();
  Anchors anchors_ = Anchors::parse(anchors_json("platform-anchors", "ExampleMaker", {{maker_.certificate.get()}}),
                                    AnchorKind::platform)
                         .value();
  std::vector<Bytes> chain_;

  Bytes version_ = hex("020101");
  Bytes holder_, issuer_;
  Bytes algorithm_ = der::signature_algorithm(tokens::Algorithm::es256);
  Bytes from_ = time("20250101000000Z");
  Bytes to_ = time("20350101000000Z");
  Bytes names_ = alternative_name({{"0606678105050101", "ExampleMaker"},
                                   {"0606678105050104", "XR-UE-1"},
                                   {"0606678105050105", "2.1"},
                                   {"0606678105050106", "SN-1"}});
  Bytes more_;  // extensions
};

TEST_F(AttributeCertificateTest, BindsTheTpmWhoseCertificateItNames) {
  const auto verified = verify(signed_by(signer_.get()));
  ASSERT_TRUE(verified) << verified.error().detail;
  EXPECT_EQ(verified->manufacturer, "ExampleMaker");
  EXPECT_EQ(verified->model, "XR-UE-1");
  EXPECT_EQ(verified->version, "2.1");
  EXPECT_EQ(verified->serial, "SN-1");
}

TEST_F(AttributeCertificateTest, SignerMayBeInTheBundle) {
  chain_.clear();
  EXPECT_EQ(reason(), "platform-certificate-untrusted");
  const std::string kept = anchors_json("platform-anchors", "ExampleMaker", {{signer_certificate_.get(), true}});
  anchors_ = Anchors::parse(kept, AnchorKind::platform).value();
  EXPECT_EQ(reason(), "");
  EXPECT_EQ(Anchors::parse(anchors_json("platform-anchors", "ExampleMaker",
                                        {{maker_.certificate.get()}, {signer_certificate_.get()}}),
                           AnchorKind::platform)
                .error()
                .reason,
            "anchors-invalid")
      << "only where the bundle says so";
}

TEST_F(AttributeCertificateTest, AnotherTpmsIsRefused) {
  holder_ =
      seq({der::element(0xA0, join({general_names(name_of(X509_get_issuer_name(ek_.native()))), hex("02014e")}))});
  EXPECT_EQ(reason(), "platform-certificate-holder");
  holder_ = seq(
      {der::element(0xA0, join({general_names(name_of(X509_get_subject_name(maker_.certificate.get()))), serial()}))});
  EXPECT_EQ(reason(), "platform-certificate-holder") << "the same serial of another issuer";
}

TEST_F(AttributeCertificateTest, OnlySignersBelowTheMakersAnchorsCount) {
  const Bytes good = signed_by(signer_.get());
  EXPECT_EQ(verify(signed_by(make_key("P-256").get())).error().reason, "platform-certificate-untrusted");
  Bytes altered = good;
  altered[altered.size() / 2] ^= 1U;
  EXPECT_FALSE(verify(altered));
  // Signed by a certificate of the same name that somebody else issued.
  CertificateFields signing = platform_fields();
  signing.subject = "ExampleMaker platform signer";
  signing.key_usage = "critical,digitalSignature";
  const Authority other = Authority::root("maker");
  chain_ = {der_of(other.issue(signer_.get(), signing).get())};
  EXPECT_EQ(verify(good).error().reason, "platform-certificate-untrusted");
  // Not for signatures: as the certificate of some other TPM of the maker.
  signing.key_usage = "critical,keyAgreement";
  chain_ = {der_of(maker_.issue(signer_.get(), signing).get())};
  EXPECT_EQ(verify(good).error().reason, "platform-certificate-untrusted");
}

TEST_F(AttributeCertificateTest, ValidityAndCriticalExtensionsCount) {
  to_ = time("20250102000000Z");
  EXPECT_EQ(reason(), "platform-certificate-expired");
  EXPECT_TRUE(verify(signed_by(signer_.get()), {.ignore_expiry = true}));
  from_ = time("20340101000000Z");
  to_ = time("20350101000000Z");
  EXPECT_EQ(verify(signed_by(signer_.get()), {.ignore_expiry = true}).error().reason, "platform-certificate-expired");
  from_ = time("20250101000000Z");
  more_ = seq({hex("0603551d37"), hex("0101ff"), hex("04023000")});
  EXPECT_EQ(reason(), "platform-certificate-critical-extension");
  more_ = seq({hex("0603551d37"), hex("04023000")});
  EXPECT_EQ(reason(), "");
}

TEST_F(AttributeCertificateTest, NamesAreThoseOfAPlatform) {
  names_ = alternative_name({{"0606678105050101", "ExampleMaker"}, {"0606678105050104", "XR-UE-1"}});
  EXPECT_EQ(reason(), "platform-certificate-san");
  names_.clear();
  EXPECT_EQ(reason(), "platform-certificate-san");
}

TEST_F(AttributeCertificateTest, OtherFormsAreMalformed) {
  const auto with = [&](Bytes& member, const Bytes& value) {
    const Bytes kept = std::exchange(member, value);
    const std::string found = reason();
    member = kept;
    return found;
  };
  EXPECT_EQ(with(version_, hex("020100")), "platform-certificate-malformed");
  EXPECT_EQ(with(holder_, seq({})), "platform-certificate-malformed");
  EXPECT_EQ(with(holder_, seq({der::element(0xA1, general_names(seq({})))})), "platform-certificate-malformed")
      << "entityName";
  EXPECT_EQ(with(issuer_, general_names(seq({}))), "platform-certificate-malformed") << "version 1 form";
  EXPECT_EQ(with(from_, time("250101000000Z")), "platform-certificate-malformed");
  EXPECT_EQ(with(from_, time("20251301000000Z")), "platform-certificate-malformed");
  EXPECT_EQ(with(more_, names_), "platform-certificate-malformed") << "names twice";
  EXPECT_EQ(with(more_, hex("3000")), "platform-certificate-malformed");
  const Bytes es384 = der::signature_algorithm(tokens::Algorithm::es384);
  EXPECT_EQ(verify(seq({info(), es384, hex("0303000000")})).error().reason, "platform-certificate-malformed")
      << "another algorithm inside";
  Bytes longer = signed_by(signer_.get());
  longer.push_back(0);
  EXPECT_EQ(verify(longer).error().reason, "platform-certificate-malformed");
  const Bytes good = signed_by(signer_.get());
  for (std::size_t size = 0; size < good.size(); size += 7) {
    const Bytes cut(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(size));
    EXPECT_EQ(verify(cut).error().reason, "platform-certificate-malformed") << size;
  }
}

}  // namespace
}  // namespace avseal::attestation
