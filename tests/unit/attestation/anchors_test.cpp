#include "attestation/anchors.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/attestation/maker.hpp"

namespace avseal::attestation {
namespace {

using namespace testing;

const std::string vendor(st);

class AnchorsTest : public ::testing::Test {
 protected:
  Anchors anchors(const std::vector<AnchorOf>& of, const std::vector<std::string>& crls = {}) {
    const auto parsed = Anchors::parse(anchors_json("ek-anchors", vendor, of, crls), AnchorKind::ek);
    EXPECT_TRUE(parsed) << parsed.error().detail;
    return *parsed;
  }
  ssl::X509Ptr leaf(const CertificateFields& fields = {}) { return intermediate_.issue(key_.get(), fields); }
  std::string reason(const Anchors& of, X509* certificate, const std::vector<Bytes>& chain, ChainOptions options = {},
                     UnixSeconds time = now) {
    const auto verified = of.verify(vendor, certificate, chain, options, time);
    return verified ? "" : std::string(verified.error().reason);
  }

  ssl::Pkey key_ = make_key("rsa-2048");
  Authority root_ = Authority::root("vendor root");
  Authority intermediate_ = root_.intermediate("vendor intermediate");
  std::vector<Bytes> chain_{der_of(intermediate_.certificate.get())};
};

TEST_F(AnchorsTest, ChainEndsInTheVendorsRoot) {
  const Anchors of_root = anchors({{root_.certificate.get()}});
  EXPECT_EQ(of_root.version(), 3);
  EXPECT_TRUE(of_root.has(vendor));
  EXPECT_EQ(reason(of_root, leaf().get(), chain_), "");
  EXPECT_EQ(reason(of_root, leaf().get(), {}), "ek-certificate-untrusted") << "without the intermediate";
  EXPECT_EQ(reason(anchors({{root_.certificate.get()}, {intermediate_.certificate.get()}}), leaf().get(), {}), "")
      << "the bundle completes it";
}

TEST_F(AnchorsTest, AnotherVendorsRootIsNoAnchor) {
  const Authority other = Authority::root("vendor root");  // of the same name
  EXPECT_EQ(reason(anchors({{other.certificate.get()}}), leaf().get(), chain_), "ek-certificate-untrusted");
  const auto unknown = anchors({{root_.certificate.get()}}).verify("id:494E5443", leaf().get(), chain_, {}, now);
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().reason, "ek-certificate-untrusted");
  EXPECT_EQ(reason(Anchors(), leaf().get(), chain_), "ek-certificate-untrusted") << "no bundle at all";
}

TEST_F(AnchorsTest, IntermediateIsAnAnchorOnlyWhereTheBundleSaysSo) {
  EXPECT_EQ(reason(anchors({{intermediate_.certificate.get(), true}}), leaf().get(), {}), "");
  const auto no_end =
      Anchors::parse(anchors_json("ek-anchors", vendor, {{intermediate_.certificate.get()}}), AnchorKind::ek);
  ASSERT_FALSE(no_end);
  EXPECT_EQ(no_end.error().reason, "anchors-invalid");
  // partial_chain of one anchor does not make one of the others.
  const Authority other = root_.intermediate("other intermediate");
  const Anchors mixed = anchors({{other.certificate.get(), true}, {intermediate_.certificate.get()}});
  EXPECT_EQ(reason(mixed, leaf().get(), {}), "ek-certificate-untrusted");
}

TEST_F(AnchorsTest, ACertificateThatADeviceSendsIsNoAnchor) {
  const Authority own = Authority::root("attacker");
  const auto forged = own.issue(key_.get(), {});
  EXPECT_EQ(reason(anchors({{root_.certificate.get()}}), forged.get(), {der_of(own.certificate.get())}),
            "ek-certificate-untrusted");
  // An EK certificate is not a CA, whoever signed below it.
  const auto below = Authority{share(key_), leaf()}.issue(make_key("P-256").get(), ek_fields("P-256"));
  EXPECT_EQ(reason(anchors({{root_.certificate.get()}}), below.get(),
                   {der_of(leaf().get()), der_of(intermediate_.certificate.get())}),
            "ek-certificate-untrusted");
}

TEST_F(AnchorsTest, ValidityIsTheFirstEnrolmentsUnlessTheDeviceIsKnown) {
  const Anchors of_root = anchors({{root_.certificate.get()}});
  const auto certificate = leaf();
  EXPECT_EQ(reason(of_root, certificate.get(), chain_, {}, now + 2 * day), "ek-certificate-expired");
  EXPECT_EQ(reason(of_root, certificate.get(), chain_, {.ignore_expiry = true}, now + 2 * day), "");
  EXPECT_EQ(reason(of_root, certificate.get(), chain_, {.ignore_expiry = true}, now - 2 * day),
            "ek-certificate-expired")
      << "not yet valid";
}

TEST_F(AnchorsTest, RevokedIsRefused) {
  const std::vector<AnchorOf> root{{root_.certificate.get()}};
  EXPECT_EQ(reason(anchors(root, {intermediate_.crl({77})}), leaf().get(), chain_), "ek-certificate-revoked");
  EXPECT_EQ(reason(anchors(root, {intermediate_.crl({78})}), leaf().get(), chain_), "");
}

TEST_F(AnchorsTest, UnknownRevocationIsRefusedIfTheProfileRequiresIt) {
  const std::vector<AnchorOf> root{{root_.certificate.get()}};
  const ChainOptions required{.require_revocation = true};
  const Anchors good = anchors(root, {intermediate_.crl({})});
  EXPECT_TRUE(good.verify(vendor, leaf().get(), chain_, required, now).value().revocation_checked);

  const Anchors none = anchors(root);
  EXPECT_FALSE(none.verify(vendor, leaf().get(), chain_, {}, now).value().revocation_checked);
  EXPECT_EQ(reason(none, leaf().get(), chain_, required), "ek-certificate-revocation-unknown");

  for (const std::string& crl : {root_.crl({}), intermediate_.crl({}, now - day)}) {  // another issuer's; too old
    const Anchors unfit = anchors(root, {crl});
    EXPECT_FALSE(unfit.verify(vendor, leaf().get(), chain_, {}, now).value().revocation_checked);
    EXPECT_EQ(reason(unfit, leaf().get(), chain_, required), "ek-certificate-revocation-unknown");
  }
  // An old list still counts against those on it.
  EXPECT_EQ(reason(anchors(root, {intermediate_.crl({77}, now - day)}), leaf().get(), chain_),
            "ek-certificate-revoked");
}

TEST_F(AnchorsTest, UnknownCriticalExtensionIsRefused) {
  CertificateFields fields;
  fields.critical_extension = "1.3.6.1.4.1.99999.1";
  EXPECT_EQ(reason(anchors({{root_.certificate.get()}}), leaf(fields).get(), chain_),
            "ek-certificate-critical-extension");
  fields.critical_extension = "2.5.29.9";  // subjectDirectoryAttributes
  EXPECT_EQ(reason(anchors({{root_.certificate.get()}}), leaf(fields).get(), chain_),
            "ek-certificate-critical-extension");
}

TEST_F(AnchorsTest, AlteredCertificateIsUntrusted) {
  Bytes der = der_of(leaf().get());
  der[der.size() / 2] ^= 1U;
  const unsigned char* at = der.data();
  const ssl::X509Ptr altered(d2i_X509(nullptr, &at, static_cast<long>(der.size())));
  ASSERT_TRUE(altered);
  EXPECT_EQ(reason(anchors({{root_.certificate.get()}}), altered.get(), chain_), "ek-certificate-untrusted");
}

TEST_F(AnchorsTest, ChainOfADeviceIsBounded) {
  const Anchors of_root = anchors({{root_.certificate.get()}});
  EXPECT_EQ(reason(of_root, leaf().get(), std::vector<Bytes>(5, chain_[0])), "ek-certificate-malformed");
  EXPECT_EQ(reason(of_root, leaf().get(), {Bytes{0x30, 0x00}}), "ek-certificate-malformed");
  Bytes padded = chain_[0];
  padded.push_back(0);
  EXPECT_EQ(reason(of_root, leaf().get(), {padded}), "ek-certificate-malformed");
}

TEST_F(AnchorsTest, BundleIsStrict) {
  const std::string good = anchors_json("ek-anchors", vendor, {{root_.certificate.get()}});
  const auto refused = [&](std::string_view from, std::string_view to) {
    std::string text = good;
    const std::size_t at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    const auto parsed = Anchors::parse(text.replace(at, from.size(), to), AnchorKind::ek);
    EXPECT_FALSE(parsed) << to;
    return parsed ? std::string() : std::string(parsed.error().reason);
  };
  EXPECT_EQ(refused("ek-anchors", "platform-anchors"), "anchors-invalid");
  EXPECT_EQ(refused("\"version\":3", "\"version\":0"), "anchors-invalid");
  EXPECT_EQ(refused("\"sha256\":\"", "\"sha256\":\"00"), "anchors-invalid");
  EXPECT_EQ(refused("BEGIN CERTIFICATE", "BEGIN NOTHING"), "anchors-invalid");
  EXPECT_EQ(refused("\"name\"", "\"nome\""), "member-missing");
  EXPECT_EQ(refused("\"partial_chain\":false", "\"partial_chain\":false,\"more\":1"), "member-unknown");
  EXPECT_EQ(refused("\"partial_chain\":false", "\"partial_chain\":0"), "member-type");
  EXPECT_EQ(Anchors::parse(anchors_json("ek-anchors", vendor, {{leaf().get(), true}}), AnchorKind::ek).error().reason,
            "anchors-invalid")
      << "no CA";
}

}  // namespace
}  // namespace avseal::attestation
