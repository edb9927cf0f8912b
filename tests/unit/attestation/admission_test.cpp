#include "attestation/admission.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/attestation/maker.hpp"
#include "tokens/digest.hpp"

namespace avseal::attestation {
namespace {

using namespace testing;

class AdmissionTest : public ::testing::Test {
 protected:
  AdmissionTest()
      : ek_(EkCertificate::read(der_of(vendor_.issue(key_.get(), {}).get())).value()),
        claim_(device_.claim()),
        trust_{
            Anchors::parse(anchors_json("ek-anchors", std::string(st), {{vendor_.certificate.get()}}), AnchorKind::ek)
                .value(),
            Anchors::parse(anchors_json("platform-anchors", "ExampleMaker", {{maker_.certificate.get()}}),
                           AnchorKind::platform)
                .value(),
            {}} {
    known_.listed = ManifestEntry{ek_.device_id(), "SN-1", "XR-UE-1", "2026-11"};
    known_.maker = "ExampleMaker";
  }

  std::string reason(const Policy& of = policy(), UnixSeconds time = now) {
    const auto admitted = admit(claim_, ek_, known_, trust_, of, time);
    return admitted ? "" : std::string(admitted.error().reason);
  }
  // With a change to one of the public areas.
  std::string reason_with(TPM2B_PUBLIC SoftwareTpm::*area, const std::function<void(TPMT_PUBLIC&)>& change) {
    const TPM2B_PUBLIC kept = device_.*area;
    change((device_.*area).publicArea);
    claim_ = device_.claim();
    device_.*area = kept;
    return reason();
  }
  Bytes platform_certificate(const CertificateFields& fields) { return der_of(maker_.issue(key_.get(), fields).get()); }

  Authority vendor_ = Authority::root("vendor");
  Authority maker_ = Authority::root("maker");
  ssl::Pkey key_ = make_key("rsa-2048");
  SoftwareTpm device_;
  EkCertificate ek_;
  Claim claim_;
  Known known_;
  Trust trust_;
};

TEST_F(AdmissionTest, ListedDeviceIsAdmitted) {
  const auto admitted = admit(claim_, ek_, known_, trust_, policy(), now);
  ASSERT_TRUE(admitted) << admitted.error().detail;
  EXPECT_EQ(admitted->device, ek_.device_id());
  EXPECT_EQ(admitted->tpm.vendor, st);
  EXPECT_EQ(admitted->identity.by, Binding::manifest);
  EXPECT_EQ(admitted->identity.maker, "ExampleMaker");
  EXPECT_EQ(admitted->identity.serial, "SN-1");
  EXPECT_EQ(admitted->identity.batch, "2026-11");
  EXPECT_TRUE(admitted->findings.empty());
  EXPECT_EQ(admitted->keys.ak_name, tpm::name_of(device_.ak_area).value());
  EXPECT_EQ(admitted->keys.key, tpm::public_key_of(device_.key_area).value());
}

TEST_F(AdmissionTest, AttestationKeyIsExactlyOfItsKind) {
  constexpr auto ak = &SoftwareTpm::ak_area;
  for (const TPMA_OBJECT bit :
       {TPMA_OBJECT_RESTRICTED, TPMA_OBJECT_FIXEDTPM, TPMA_OBJECT_FIXEDPARENT, TPMA_OBJECT_SENSITIVEDATAORIGIN,
        TPMA_OBJECT_SIGN_ENCRYPT, TPMA_OBJECT_DECRYPT, TPMA_OBJECT_NODA, TPMA_OBJECT_ENCRYPTEDDUPLICATION,
        TPMA_OBJECT_ADMINWITHPOLICY, TPMA_OBJECT_STCLEAR, TPMA_OBJECT_USERWITHAUTH}) {
    EXPECT_EQ(reason_with(ak, [&](TPMT_PUBLIC& area) { area.objectAttributes ^= bit; }), "ak-attributes");
  }
  EXPECT_EQ(reason_with(ak, [](TPMT_PUBLIC& area) { area.authPolicy.size = 32; }), "ak-policy");
  EXPECT_EQ(reason_with(ak, [](TPMT_PUBLIC& area) { area.nameAlg = TPM2_ALG_SHA1; }), "ak-scheme");
  EXPECT_EQ(reason_with(
                ak, [](TPMT_PUBLIC& area) { area.parameters.eccDetail.scheme.details.ecdsa.hashAlg = TPM2_ALG_SHA1; }),
            "ak-scheme");
  EXPECT_EQ(reason_with(ak, [](TPMT_PUBLIC& area) { area.parameters.eccDetail.scheme.scheme = TPM2_ALG_ECSCHNORR; }),
            "ak-scheme");
  EXPECT_EQ(reason_with(ak, [](TPMT_PUBLIC& area) { area.parameters.eccDetail.curveID = TPM2_ECC_NIST_P384; }),
            "ak-scheme");
  EXPECT_EQ(reason_with(ak, [](TPMT_PUBLIC& area) { area.unique.ecc.y.buffer[31] ^= 1U; }), "ak-malformed")
      << "not on the curve";
  claim_.ak.push_back(0);
  EXPECT_EQ(reason(), "ak-malformed");
  claim_.ak.clear();
  EXPECT_EQ(reason(), "ak-malformed");
  claim_.ak.assign(tpm::public_area_max_size + 1, 0);
  EXPECT_EQ(reason(), "ak-malformed");
}

TEST_F(AdmissionTest, UeKeyIsExactlyOfItsKind) {
  constexpr auto key = &SoftwareTpm::key_area;
  const auto attributes = [&](TPMA_OBJECT value) {
    return reason_with(key, [&](TPMT_PUBLIC& area) { area.objectAttributes = value; });
  };
  EXPECT_EQ(attributes(0x40472), "");
  EXPECT_EQ(attributes(0x40460), "ue-key-attributes") << "duplicable";
  EXPECT_EQ(attributes(0x40440), "ue-key-attributes") << "software key of LoadExternal";
  EXPECT_EQ(attributes(0x40452), "ue-key-attributes") << "imported secret";
  EXPECT_EQ(attributes(0x50472), "ue-key-attributes") << "restricted";
  EXPECT_EQ(attributes(0x60472), "ue-key-attributes") << "decrypts too";
  EXPECT_EQ(attributes(0x40c72), "ue-key-attributes") << "encryptedDuplication";
  EXPECT_EQ(attributes(0x40072), "ue-key-attributes") << "without noDA, unless the profile says so";
  EXPECT_EQ(reason_with(key, [](TPMT_PUBLIC& area) { area.authPolicy.size = 32; }), "ue-key-policy");
  EXPECT_EQ(reason_with(key, [](TPMT_PUBLIC& area) { area.parameters.eccDetail.scheme.scheme = TPM2_ALG_NULL; }),
            "ue-key-scheme");
  EXPECT_EQ(reason_with(key, [](TPMT_PUBLIC& area) { area.unique.ecc.x.size = 0; }), "ue-key-malformed");
}

TEST_F(AdmissionTest, ParentIsOurStorageKey) {
  constexpr auto parent = &SoftwareTpm::parent_area;
  for (const TPMA_OBJECT bit : {TPMA_OBJECT_RESTRICTED, TPMA_OBJECT_FIXEDTPM, TPMA_OBJECT_DECRYPT, TPMA_OBJECT_NODA}) {
    EXPECT_EQ(reason_with(parent, [&](TPMT_PUBLIC& area) { area.objectAttributes ^= bit; }), "ue-key-parent");
  }
  EXPECT_EQ(reason_with(parent, [](TPMT_PUBLIC& area) { area.authPolicy.size = 32; }), "ue-key-parent");
  claim_.parent.pop_back();
  EXPECT_EQ(reason(), "ue-key-malformed");
}

TEST_F(AdmissionTest, ChainIsAlwaysVerified) {
  ek_ = EkCertificate::read(der_of(maker_.issue(key_.get(), {}).get())).value();
  EXPECT_EQ(reason(), "ek-certificate-untrusted");
  EXPECT_EQ(reason(policy("mode = \"monitor\"")), "ek-certificate-untrusted") << "no policy, so never let through";
}

TEST_F(AdmissionTest, CriticalExtensionIsRefused) {
  CertificateFields fields;
  fields.critical_extension = "1.3.6.1.4.1.99999.1";
  ek_ = EkCertificate::read(der_of(vendor_.issue(key_.get(), fields).get())).value();
  EXPECT_EQ(reason(), "ek-certificate-critical-extension");
}

TEST_F(AdmissionTest, SoftwareTpmIsRefusedByAProductionProfile) {
  CertificateFields fields;
  fields.alternative_name[0].second = "id:00001014";
  ek_ = EkCertificate::read(der_of(vendor_.issue(key_.get(), fields).get())).value();
  EXPECT_EQ(reason(), "ek-vendor-refused");
  EXPECT_EQ(reason(policy("mode = \"monitor\"")), "ek-vendor-refused");
  EXPECT_EQ(reason(policy("test = true")), "ek-certificate-untrusted") << "it still needs anchors";
}

TEST_F(AdmissionTest, TypeIsAmongTheProfiles) {
  EXPECT_EQ(reason(policy("ek.types = [\"p-256\"]")), "ek-key-unsupported");
  EXPECT_EQ(reason(policy("ek.types = [\"p-256\", \"rsa-2048\"]")), "");
}

TEST_F(AdmissionTest, ExpiredCertificateEndsFirstEnrolmentsOnly) {
  const Policy first_only = policy("ek.expired = \"first-only\"");
  EXPECT_EQ(reason(first_only, now + 2 * day), "ek-certificate-expired");
  known_.enrolled = true;
  EXPECT_EQ(reason(first_only, now + 2 * day), "");
  EXPECT_EQ(reason(policy(), now + 2 * day), "ek-certificate-expired");
}

// A genuine TPM, but the attacker's own.
TEST_F(AdmissionTest, UnlistedDeviceIsRefusedAndMonitored) {
  known_.listed.reset();
  EXPECT_EQ(reason(), "device-not-in-manifest");
  const auto monitored = admit(claim_, ek_, known_, trust_, policy("mode = \"monitor\""), now);
  ASSERT_TRUE(monitored);
  EXPECT_FALSE(monitored->identity.by);
  ASSERT_EQ(monitored->findings.size(), 1U);
  EXPECT_EQ(monitored->findings[0].reason, "device-not-in-manifest");
}

TEST_F(AdmissionTest, SerialIsTheManifests) {
  claim_.serial = "SN-2";
  EXPECT_EQ(reason(), "device-serial-mismatch");
  const auto monitored = admit(claim_, ek_, known_, trust_, policy("mode = \"monitor\""), now);
  ASSERT_EQ(monitored.value().findings.size(), 1U);
  EXPECT_EQ(monitored->identity.serial, "SN-1") << "what the maker says, not what the device says";
}

TEST_F(AdmissionTest, DeniedModelIsRefusedAndMonitored) {
  EXPECT_EQ(reason(policy("[[deny]]\nmodel = \"ST33\"")), "device-model-refused");
  EXPECT_EQ(reason(policy("mode = \"monitor\"\n[[deny]]\nmodel = \"ST33\"")), "");
}

TEST_F(AdmissionTest, PlatformCertificateOfTheSameKeyBindsToo) {
  known_.listed.reset();
  const Policy by_platform = policy("binding = [\"manifest\", \"platform-certificate\"]");
  claim_.platform_certificate = platform_certificate(platform_fields());
  const auto admitted = admit(claim_, ek_, known_, trust_, by_platform, now);
  ASSERT_TRUE(admitted) << admitted.error().detail;
  EXPECT_EQ(admitted->identity.by, Binding::platform_certificate);
  EXPECT_EQ(admitted->identity.maker, "ExampleMaker");
  EXPECT_EQ(admitted->identity.model, "XR-UE-1");
  EXPECT_EQ(admitted->identity.serial, "") << "not proved";
  EXPECT_EQ(reason(policy()), "device-not-in-manifest") << "the profile does not admit platform certificates";

  CertificateFields with_serial = platform_fields();
  with_serial.alternative_name.emplace_back("2.23.133.5.1.6", "SN-1");
  claim_.platform_certificate = platform_certificate(with_serial);
  EXPECT_EQ(admit(claim_, ek_, known_, trust_, by_platform, now).value().identity.serial, "SN-1");
  claim_.serial = "SN-2";
  EXPECT_EQ(reason(by_platform), "device-serial-mismatch");
}

TEST_F(AdmissionTest, WrongPlatformCertificateIsNeverLetThrough) {
  known_.listed.reset();
  const auto refused = [&](Bytes der) {
    claim_.platform_certificate = std::move(der);
    const std::string strict = reason(policy("binding = [\"platform-certificate\"]"));
    EXPECT_EQ(reason(policy("binding = [\"platform-certificate\"]\nmode = \"monitor\"")), strict);
    return strict;
  };
  const CertificateFields good = platform_fields();
  EXPECT_EQ(refused(der_of(maker_.issue(make_key("P-256").get(), good).get())), "platform-certificate-key-mismatch");
  EXPECT_EQ(refused(der_of(vendor_.issue(key_.get(), good).get())), "platform-certificate-untrusted");
  CertificateFields fields = good;
  fields.extended_usage = "2.23.133.8.1";
  EXPECT_EQ(refused(platform_certificate(fields)), "platform-certificate-eku");
  fields = good;
  fields.ca = true;
  EXPECT_EQ(refused(platform_certificate(fields)), "platform-certificate-is-ca");
  fields = good;
  fields.alternative_name.pop_back();
  EXPECT_EQ(refused(platform_certificate(fields)), "platform-certificate-san");
  fields = good;
  fields.alternative_name[0].second = "OtherMaker";
  EXPECT_EQ(refused(platform_certificate(fields)), "platform-certificate-untrusted");
  fields = good;
  fields.not_after = now - 1;
  EXPECT_EQ(refused(platform_certificate(fields)), "platform-certificate-expired");
  fields = good;
  fields.critical_extension = "1.3.6.1.4.1.99999.1";
  EXPECT_EQ(refused(platform_certificate(fields)), "platform-certificate-critical-extension");
  EXPECT_EQ(refused({0x30, 0x00}), "platform-certificate-malformed");
  Bytes padded = platform_certificate(good);
  padded.push_back(0);
  EXPECT_EQ(refused(padded), "platform-certificate-malformed");
}

}  // namespace
}  // namespace avseal::attestation
