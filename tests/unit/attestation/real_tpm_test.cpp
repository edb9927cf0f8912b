// Against a software TPM, and beside tpm2-tools.
#include "tests/unit/attestation/real_tpm.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/core_names.h>
#include <openssl/pem.h>

#include "tokens/base64.hpp"
#include "tokens/digest.hpp"
#include "tokens/enrolment_binding.hpp"

namespace avseal::attestation {
namespace {

using namespace testing;
using ::testing::HasSubstr;

const std::string impu = "sip:alice@a.example";

// The file in which tpm2-tools keep a credential.
Bytes tools_file(const Credential& credential) {
  Bytes file{0xBA, 0xDC, 0xC0, 0xDE, 0, 0, 0, 1};
  file.insert(file.end(), credential.blob.begin(), credential.blob.end());
  file.insert(file.end(), credential.secret.begin(), credential.secret.end());
  return file;
}

constexpr const char* make_ak =
    "tpm2_createprimary -Q -C e -G ecc256:ecdsa-sha256:null -c ak.ctx -a "
    "'fixedtpm|fixedparent|sensitivedataorigin|userwithauth|noda|restricted|sign' && tpm2_flushcontext -t && "
    "tpm2_readpublic -Q -c ak.ctx -f tpmt -o ak.tpmt && tpm2_flushcontext -t && tpm2_readpublic -Q -c ak.ctx -f pem -o "
    "ak.pem";

struct EkCase {
  const char* name;
  const char* certificate;  // of swtpm_setup; null: the test's own authority issues one
  const char* handle;       // what tpm2_activatecredential takes as -C
  bool by_policy;           // needs PolicySecret(endorsement)
  const char* algorithm;    // for tpm2_makecredential, which takes every EC key for P-256; null: not possible
};

class CredentialInTpm : public ::testing::TestWithParam<EkCase> {
 protected:
  // The EK as a certificate has it; a P-256 one gets its certificate here.
  EndorsementKey endorsement_key() {
    if (GetParam().certificate != nullptr) {
      return EkCertificate::read(tpm_.file_bytes(std::string("certs/") + GetParam().certificate)).value().key();
    }
    tpm_.run(
        "tpm2_createek -Q -G ecc -c ek.ctx -u ek.pub && tpm2_flushcontext -t && tpm2_readpublic -Q -c ek.ctx -f pem "
        "-o ek.pem");
    const std::string pem = tpm_.file_text("ek.pem");
    const ssl::Bio bio = ssl::memory_bio(pem);
    const ssl::Pkey key(PEM_read_bio_PUBKEY(bio.get(), nullptr, nullptr, nullptr));
    const auto certificate = Authority::root("vendor").issue(key.get(), ek_fields("P-256"));
    return EkCertificate::read(der_of(certificate.get())).value().key();
  }
  // What the TPM makes of the credential in the file "credential".
  std::optional<std::string> activate() {
    const std::string activation =
        std::string("tpm2_activatecredential -Q -c ak.ctx -C ") + GetParam().handle + " -i credential -o secret";
    const std::string session =
        "tpm2_startauthsession --policy-session -S session && tpm2_policysecret -Q -S session -c e && ";
    std::filesystem::remove(tpm_.file("secret"));
    const int result = tpm_.tools(GetParam().by_policy ? session + activation + " -P session:session" : activation);
    if (result != 0) return std::nullopt;
    return tpm_.file_text("secret");
  }
  ProvisionedTpm tpm_;
};

TEST_P(CredentialInTpm, IsActivatedForItsNameOnly) {
  const EndorsementKey ek = endorsement_key();
  tpm_.run(make_ak);
  const Bytes name = tpm::name_of(tpm::unmarshal_public(tpm_.file_bytes("ak.tpmt")).value()).value();
  for (const std::size_t size : {32U, 1U, 31U}) {
    const Bytes secret = tokens::random_bytes(size);
    write_bytes(tpm_.file("credential"), tools_file(make_credential(ek, name, secret).value()));
    EXPECT_EQ(activate(), std::string(secret.begin(), secret.end())) << tpm_.file_text("tools.log");
  }
  Bytes other = name;
  other.back() ^= 1U;
  write_bytes(tpm_.file("credential"), tools_file(make_credential(ek, other, Bytes(32, 1)).value()));
  EXPECT_EQ(activate(), std::nullopt);
  EXPECT_THAT(tpm_.file_text("tools.log"), HasSubstr("0x1DF"));
}

TEST_P(CredentialInTpm, IsLikeThatOfTpm2Makecredential) {
  const EndorsementKey ek = endorsement_key();
  tpm_.run(make_ak);
  const Bytes name = tpm::name_of(tpm::unmarshal_public(tpm_.file_bytes("ak.tpmt")).value()).value();
  const Bytes secret(32, 0x5A);
  const Bytes ours = tools_file(make_credential(ek, name, secret).value());
  if (GetParam().algorithm == nullptr) {
    EXPECT_EQ(ours.size(), 8U + 2 + 2 + 48 + 2 + 32 + 2 + 2 + 48 + 2 + 48);
    return;
  }
  write_bytes(tpm_.file("plain"), secret);
  write_bytes(tpm_.file("public.pem"), as_bytes(public_pem(ek.key.get())));
  tpm_.run(std::string("tpm2_makecredential -Q -T none -u public.pem -s plain -o credential -n ") +
           tokens::hex_encode(name) + " -G " + GetParam().algorithm);
  const Bytes theirs = tpm_.file_bytes("credential");
  EXPECT_EQ(ours.size(), theirs.size());
  EXPECT_TRUE(std::equal(ours.begin(), ours.begin() + 12, theirs.begin())) << "the sizes in front";
  EXPECT_EQ(activate(), std::string(secret.begin(), secret.end()));
  write_bytes(tpm_.file("credential"), ours);
  EXPECT_EQ(activate(), std::string(secret.begin(), secret.end()));
}

INSTANTIATE_TEST_SUITE_P(EkTypes, CredentialInTpm,
                         ::testing::Values(EkCase{"Rsa2048", "ek-rsa2048.crt", "0x81010001", true, "rsa"},
                                           EkCase{"P256", nullptr, "ek.ctx", true, "ecc"},
                                           EkCase{"P384", "ek-secp384r1.crt", "0x81010016", false, nullptr}),
                         [](const auto& value) { return std::string(value.param.name); });

class EnrolmentInTpm : public ::testing::Test {
 protected:
  [[nodiscard]] Evidence evidence(DeviceInTpm& device) const {
    Evidence result;
    result.request = device.request(impu);
    result.certify = device.certify(binding(result.request));
    return result;
  }
  [[nodiscard]] tokens::Sha256 binding(ByteView request) const {
    return tokens::qualifying_data({challenge_.nonce, tokens::sha256(request), challenge_.impu, challenge_.server});
  }
  [[nodiscard]] std::string reason(const Evidence& evidence, const Claim& claim) const {
    const auto keys = read_keys(claim.ak, claim.key, claim.parent, policy_);
    if (!keys) return std::string(keys.error().reason);
    const auto judged = judge(evidence, *keys, {}, challenge_, {}, policy_);
    return judged ? "" : std::string(judged.error().reason);
  }

  ProvisionedTpm tpm_;
  Policy policy_ = policy("test = true\nbinding = [\"manifest\", \"platform-certificate\"]");
  Challenge challenge_{Bytes(32, 0x11), tokens::Impu::parse(impu).value(), "https://avseal.a.example"};
};

TEST_F(EnrolmentInTpm, SwtpmsOwnCertificatesAdmitItUnderATestProfile) {
  const auto context = tpm_.open();
  DeviceInTpm device(*context);
  Claim claim = device.claim();
  for (const char* file : {"certs/ek-rsa2048.crt", "certs/ek-secp384r1.crt"}) {
    const EkCertificate ek = EkCertificate::read(tpm_.file_bytes(file)).value();
    EXPECT_EQ(ek.tpm().model, "swtpm");
    const Known known{false, ManifestEntry{ek.device_id(), "SN-1", "XR-UE-1", "b"}, "ExampleMaker"};
    const auto admitted = admit(claim, ek, known, tpm_.trust(), policy_, to_unix(system_clock_now()));
    ASSERT_TRUE(admitted) << admitted.error().detail;
    EXPECT_EQ(admit(claim, ek, known, tpm_.trust(), policy(), to_unix(system_clock_now())).error().reason,
              "ek-vendor-refused");
  }
}

TEST_F(EnrolmentInTpm, SwtpmsPlatformCertificateBindsItsRsaKey) {
  tpm_.run("tpm2_nvread -Q 0x1c08000 -C p -o platform.crt");
  const auto context = tpm_.open();
  DeviceInTpm device(*context);
  Claim claim = device.claim();
  claim.platform_certificate = tpm_.file_bytes("platform.crt");
  const auto admitted_by = [&](const char* file) {
    const EkCertificate ek = EkCertificate::read(tpm_.file_bytes(file)).value();
    return admit(claim, ek, {}, tpm_.trust(), policy_, to_unix(system_clock_now()));
  };
  const auto admitted = admitted_by("certs/ek-rsa2048.crt");
  ASSERT_TRUE(admitted) << admitted.error().detail;
  EXPECT_EQ(admitted->identity.by, Binding::platform_certificate);
  EXPECT_EQ(admitted->identity.model, "XR-UE-1");
  EXPECT_EQ(admitted_by("certs/ek-secp384r1.crt").error().reason, "platform-certificate-key-mismatch");
}

TEST_F(EnrolmentInTpm, KeyOfTheTpmIsApprovedAndCountersAreInClear) {
  const auto judged_counters = [&] {
    const auto context = tpm_.open();
    DeviceInTpm device(*context);
    const Evidence good = evidence(device);
    const Claim claim = device.claim();
    const auto keys = read_keys(claim.ak, claim.key, claim.parent, policy_).value();
    const auto judged = judge(good, keys, {}, challenge_, {}, policy_);
    EXPECT_TRUE(judged) << judged.error().detail;
    return judged.value().last;
  };
  const Counters first = judged_counters();
  tpm_.run("tpm2_shutdown -c");
  tpm_.restart();
  const Counters second = judged_counters();
  EXPECT_EQ(second.resets, first.resets + 1);
  EXPECT_EQ(second.firmware, first.firmware);
  EXPECT_TRUE(check_progress(first, second));
  EXPECT_FALSE(check_progress(second, first));
}

// TPMs certify such a key as happily as any other.
TEST_F(EnrolmentInTpm, DuplicableKeyIsRefused) {
  TPM2B_PUBLIC duplicable = tpm::ue_key_template();
  duplicable.publicArea.objectAttributes = 0x40460;
  const auto context = tpm_.open();
  DeviceInTpm device(*context, duplicable);
  const Evidence certified = evidence(device);
  Claim claim = device.claim();
  EXPECT_EQ(reason(certified, claim), "ue-key-attributes");
  TPMT_PUBLIC lie = device.key_area().publicArea;
  lie.objectAttributes = 0x40472;
  claim.key = tpm::marshal_public(lie).value();
  EXPECT_EQ(reason(certified, claim), "attest-name");
}

TEST_F(EnrolmentInTpm, SoftwareKeyOfLoadExternalIsRefused) {
  const SoftwareTpm software;
  TPM2B_PUBLIC area = software.key_area;
  TPM2B_SENSITIVE sensitive{};
  sensitive.sensitiveArea.sensitiveType = TPM2_ALG_ECC;
  TPM2B_ECC_PARAMETER& scalar = sensitive.sensitiveArea.sensitive.ecc;
  BIGNUM* number = nullptr;
  ASSERT_EQ(EVP_PKEY_get_bn_param(software.ue_key(), OSSL_PKEY_PARAM_PRIV_KEY, &number), 1);
  const ssl::BigNum owner(number);
  scalar.size = static_cast<UINT16>(BN_bn2binpad(number, scalar.buffer, 32));
  area.publicArea.objectAttributes = TPMA_OBJECT_USERWITHAUTH | TPMA_OBJECT_SIGN_ENCRYPT | TPMA_OBJECT_NODA;

  const auto context = tpm_.open();
  DeviceInTpm device(*context);
  device.drop_key();
  device.drop_session();
  ESYS_TR reference = ESYS_TR_NONE;
  ASSERT_TRUE(context->command("TPM2_LoadExternal", [&](ESYS_CONTEXT* esys) {
    return Esys_LoadExternal(esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &sensitive, &area, ESYS_TR_RH_NULL,
                             &reference);
  }));
  const tpm::Handle loaded(*context, reference, tpm::Handle::Kind::flushed);
  Evidence certified;
  certified.request = software.request(impu);
  certified.certify = device.certify(reference, binding(certified.request));
  Claim claim = device.claim();
  claim.key = tpm::marshal_public(area.publicArea).value();
  EXPECT_EQ(reason(certified, claim), "ue-key-attributes");
  claim.key = tpm::marshal_public(software.key_area.publicArea).value();
  EXPECT_EQ(reason(certified, claim), "attest-name");
}

TEST_F(EnrolmentInTpm, ForgeryByTheUnrestrictedKeyIsRefused) {
  const auto context = tpm_.open();
  DeviceInTpm device(*context);
  Evidence forged = evidence(device);
  TPMS_ATTEST attest = tpm::unmarshal_attest(forged.certify->attest).value();
  attest.clockInfo.resetCount += 100;
  forged.certify = device.sign_by_ue_key(attest);
  Claim claim = device.claim();
  EXPECT_EQ(reason(forged, claim), "attest-signature");
  claim.ak = claim.key;
  EXPECT_EQ(reason(forged, claim), "ak-attributes");
}

// What tpm2_checkquote accepts, and what it does not, is what is accepted here.
TEST_F(EnrolmentInTpm, QuoteIsJudgedAsByTpm2Checkquote) {
  tpm_.run("tpm2_pcrextend 7:sha256=" + std::string(64, '7') + " && tpm2_pcrread -Q sha256:0,7 -o pcrs");
  Evidence all;
  Claim claim;
  {
    const auto context = tpm_.open();
    DeviceInTpm device(*context);
    claim = device.claim();
    all = evidence(device);
    all.quote = QuoteEvidence{device.quote(binding(all.request), {0, 7}), {}};
  }
  const Bytes pcrs = tpm_.file_bytes("pcrs");
  ASSERT_EQ(pcrs.size(), 64U);
  PcrValues& values = all.quote->pcrs;
  std::copy_n(pcrs.begin(), 32, values[0].begin());
  std::copy_n(pcrs.begin() + 32, 32, values[7].begin());
  Trust trust;
  trust.pcr_sets = PcrSets{1, {{"golden", values}}};
  const auto keys = read_keys(claim.ak, claim.key, claim.parent, policy_).value();
  const auto ours = [&](const Evidence& of) {
    const auto judged = judge(of, keys, {}, challenge_, trust, policy("test = true\nquote.pcrs = [0, 7]"));
    return judged ? judged->pcr_set : std::string(judged.error().reason);
  };
  write_bytes(tpm_.file("ak.pem"), as_bytes(public_pem(keys.ak.native())));
  const auto theirs = [&](const Evidence& of, const std::string& qualification) {
    write_bytes(tpm_.file("quote"), of.quote->quote.attest);
    write_bytes(tpm_.file("signature"), of.quote->quote.signature);
    return tpm_.tools("tpm2_checkquote -Q -u ak.pem -m quote -s signature -f pcrs -l sha256:0,7 -g sha256 -q " +
                      qualification) == 0;
  };
  const std::string qualification = tokens::hex_encode(binding(all.request));
  EXPECT_EQ(ours(all), "golden");
  EXPECT_TRUE(theirs(all, qualification)) << tpm_.file_text("tools.log");
  EXPECT_FALSE(theirs(all, std::string(64, '0')));

  Evidence altered = all;
  altered.quote->quote.attest.back() ^= 1U;
  EXPECT_EQ(ours(altered), "attest-signature");
  EXPECT_FALSE(theirs(altered, qualification));

  altered = all;
  altered.quote->pcrs[7][0] ^= 1U;
  EXPECT_EQ(ours(altered), "quote-pcr-digest");
  tpm_.run("tpm2_pcrextend 7:sha256=" + std::string(64, '7') + " && tpm2_pcrread -Q sha256:0,7 -o pcrs");
  EXPECT_FALSE(theirs(all, qualification)) << "other PCR values";
}

}  // namespace
}  // namespace avseal::attestation
