#include "attestation/evidence.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/attestation/maker.hpp"
#include "tokens/csr_attestation.hpp"
#include "tokens/digest.hpp"
#include "tokens/enrolment_binding.hpp"

namespace avseal::attestation {
namespace {

using namespace testing;

const std::string impu = "sip:alice@a.example";
const PcrValues pcrs{{0, tokens::Sha256{1}}, {2, tokens::Sha256{2}}, {7, tokens::Sha256{3}}};

class EvidenceTest : public ::testing::Test {
 protected:
  EvidenceTest() {
    trust_.pcr_sets = PcrSets{4, {{"fw-2.0", {{0, {9}}, {2, {2}}, {7, {3}}}}, {"fw-2.1", pcrs}}};
    evidence_.request = device_.request(impu);
    evidence_.certify = device_.sign_attest(device_.certify(binding()));
  }

  [[nodiscard]] tokens::Sha256 binding() const {
    return tokens::qualifying_data(
        {challenge_.nonce, tokens::sha256(evidence_.request), challenge_.impu, challenge_.server});
  }
  void quote(const PcrValues& values = pcrs) {
    evidence_.quote = QuoteEvidence{device_.sign_attest(device_.quote(binding(), values)), values};
  }
  [[nodiscard]] Result<Verdict> verdict(const Policy& of = policy()) const {
    return judge(evidence_, device_.keys(of), tpm_, challenge_, trust_, of);
  }
  [[nodiscard]] std::string reason(const Policy& of = policy()) const {
    const auto judged = verdict(of);
    return judged ? "" : std::string(judged.error().reason);
  }
  // With a change to what the attestation key signs.
  std::string reason_with(const std::function<void(TPMS_ATTEST&)>& change) {
    TPMS_ATTEST attest = device_.certify(binding());
    change(attest);
    evidence_.certify = device_.sign_attest(attest);
    return reason();
  }

  SoftwareTpm device_;
  TpmIdentity tpm_{std::string(st), "ST33", "id:00010102"};
  Challenge challenge_{Bytes(32, 0x11), tokens::Impu::parse(impu).value(), "https://avseal.a.example"};
  Trust trust_;
  Evidence evidence_;
};

const Policy quoting = policy("quote.pcrs = [0, 2, 7]");

TEST_F(EvidenceTest, KeyThatTheTpmCertifiesIsApproved) {
  const auto judged = verdict();
  ASSERT_TRUE(judged) << judged.error().detail;
  EXPECT_TRUE(judged->request.key == tpm::public_key_of(device_.key_area).value());
  EXPECT_EQ(judged->first.resets, 3U);
  EXPECT_EQ(judged->first.restarts, 1U);
  EXPECT_EQ(judged->last.clock, 1000U);
  EXPECT_TRUE(judged->last.safe);
  EXPECT_EQ(judged->last.firmware, 0x0001000200030004U);
  EXPECT_TRUE(judged->findings.empty());
}

TEST_F(EvidenceTest, EveryAlteredByteOfTheAttestIsNoticed) {
  const SignedAttest good = *evidence_.certify;
  for (std::size_t i = 0; i < good.attest.size(); ++i) {
    evidence_.certify->attest = good.attest;
    evidence_.certify->attest[i] ^= 1U;
    const std::string found = reason();
    EXPECT_TRUE(found == "attest-signature" || found == "attest-malformed") << i << " " << found;
  }
  evidence_.certify->attest = good.attest;
  for (std::size_t i = 0; i < good.signature.size(); ++i) {
    evidence_.certify->signature = good.signature;
    evidence_.certify->signature[i] ^= 1U;
    const std::string found = reason();
    EXPECT_TRUE(found == "attest-signature" || found == "attest-malformed") << i << " " << found;
  }
}

TEST_F(EvidenceTest, TrailingAndMissingBytesAreRefused) {
  evidence_.certify->attest.push_back(0);
  EXPECT_EQ(reason(), "attest-malformed");
  evidence_.certify->attest.clear();
  EXPECT_EQ(reason(), "attest-malformed");
  evidence_.certify = device_.sign_attest(device_.certify(binding()));
  evidence_.certify->signature.push_back(0);
  EXPECT_EQ(reason(), "attest-malformed");
  evidence_.certify.reset();
  EXPECT_EQ(reason(), "attest-missing");
}

// A forged attest: only a restricted key refuses to sign what begins with TPM_GENERATED outside of an attestation.
TEST_F(EvidenceTest, AttestSignedByTheUnrestrictedKeyIsForged) {
  evidence_.certify = device_.sign_by_ue_key(device_.certify(binding()));
  EXPECT_EQ(reason(), "attest-signature");
}

TEST_F(EvidenceTest, AttestOfAnotherTpmIsRefused) {
  const SoftwareTpm other;
  evidence_.certify = other.sign_attest(device_.certify(binding()));
  EXPECT_EQ(reason(), "attest-signature");
}

TEST_F(EvidenceTest, MagicAndTypeAreChecked) {
  EXPECT_EQ(reason_with([](TPMS_ATTEST& attest) { attest.magic ^= 1U; }), "attest-magic");
  EXPECT_EQ(reason_with([](TPMS_ATTEST& attest) { attest.type = TPM2_ST_ATTEST_CREATION; }), "attest-type");
  quote();
  std::swap(*evidence_.certify, evidence_.quote->quote);
  EXPECT_EQ(reason(quoting), "attest-type") << "a quote is no certification";
}

TEST_F(EvidenceTest, SignerIsAPrimaryOfTheEndorsementHierarchy) {
  const Bytes in_owner =
      tpm::qualified_name(tpm::hierarchy_name(TPM2_RH_OWNER), tpm::name_of(device_.ak_area).value()).value();
  EXPECT_EQ(reason_with(
                [&](TPMS_ATTEST& attest) { std::copy(in_owner.begin(), in_owner.end(), attest.qualifiedSigner.name); }),
            "attest-signer");
  EXPECT_EQ(reason_with([](TPMS_ATTEST& attest) { attest.qualifiedSigner.size = 0; }), "attest-signer");
}

TEST_F(EvidenceTest, EvidenceIsBoundToTheChallenge) {
  Challenge other = challenge_;
  std::swap(challenge_, other);
  challenge_.nonce[31] ^= 1U;
  EXPECT_EQ(reason(), "attest-binding") << "a replayed nonce";
  challenge_ = other;
  challenge_.server = "https://other.example";
  EXPECT_EQ(reason(), "attest-binding") << "relayed to another server";
  challenge_ = other;
  challenge_.impu = tokens::Impu::parse("sip:bob@a.example").value();
  EXPECT_EQ(reason(), "attest-binding");
  challenge_ = other;
  EXPECT_EQ(reason(), "");
  EXPECT_EQ(reason_with([](TPMS_ATTEST& attest) { attest.extraData.size = 0; }), "attest-binding");
}

TEST_F(EvidenceTest, RequestSwappedBetweenDevicesIsRefused) {
  const SoftwareTpm other;
  evidence_.request = other.request(impu);
  EXPECT_EQ(reason(), "csr-key-mismatch");
  evidence_.request = device_.request("sip:bob@a.example");
  EXPECT_EQ(reason(), "attest-binding") << "another request of the same key";
  evidence_.request.back() ^= 1U;
  EXPECT_EQ(reason(), "signature-invalid");
  evidence_.request.pop_back();
  EXPECT_EQ(reason(), "certificate-request-malformed");
}

TEST_F(EvidenceTest, NameIsTheUeKeysAndWhereItIs) {
  EXPECT_EQ(reason_with([](TPMS_ATTEST& attest) { attest.attested.certify.name.name[33] ^= 1U; }), "attest-name");
  EXPECT_EQ(reason_with([](TPMS_ATTEST& attest) { attest.attested.certify.qualifiedName.name[33] ^= 1U; }),
            "attest-qualified-name");
  // As a primary key of the owner hierarchy, not below the storage key.
  const Bytes primary =
      tpm::qualified_name(tpm::hierarchy_name(TPM2_RH_OWNER), tpm::name_of(device_.key_area).value()).value();
  EXPECT_EQ(reason_with([&](TPMS_ATTEST& attest) {
              std::copy(primary.begin(), primary.end(), attest.attested.certify.qualifiedName.name);
            }),
            "attest-qualified-name");
}

TEST_F(EvidenceTest, QuoteOfAGoldenStateIsApproved) {
  quote();
  const auto judged = verdict(quoting);
  ASSERT_TRUE(judged) << judged.error().detail;
  EXPECT_EQ(judged->pcr_set, "fw-2.1");
  EXPECT_EQ(judged->first.clock, 1000U);
  EXPECT_EQ(judged->last.clock, 1005U);
}

TEST_F(EvidenceTest, MissingQuoteIsNeverSilentlySkipped) {
  EXPECT_EQ(reason(quoting), "quote-missing");
  const auto monitored = verdict(policy("mode = \"monitor\"\nquote.pcrs = [0]"));
  ASSERT_EQ(monitored.value().findings.size(), 1U);
  EXPECT_EQ(monitored->findings[0].reason, "quote-missing");
  EXPECT_EQ(reason(policy("quote.pcrs = [0]\nquote.required = false")), "");
}

TEST_F(EvidenceTest, ChangedPcrsAreRefusedAndMonitored) {
  PcrValues changed = pcrs;
  changed[7][0] ^= 1U;
  quote(changed);
  EXPECT_EQ(reason(quoting), "quote-pcr-unknown");
  const auto monitored = verdict(policy("mode = \"monitor\"\nquote.pcrs = [0, 2, 7]"));
  ASSERT_TRUE(monitored) << monitored.error().detail;
  EXPECT_EQ(monitored->pcr_set, "");
  EXPECT_EQ(monitored->findings.at(0).reason, "quote-pcr-unknown");
  trust_.pcr_sets.reset();
  quote();
  EXPECT_EQ(reason(quoting), "quote-pcr-unknown");
}

TEST_F(EvidenceTest, ClaimedValuesAreThoseThatWereQuoted) {
  PcrValues changed = pcrs;
  changed[7][0] ^= 1U;
  quote(changed);
  evidence_.quote->pcrs = pcrs;  // the golden values, but the TPM quoted others
  EXPECT_EQ(reason(quoting), "quote-pcr-digest");
  EXPECT_EQ(reason(policy("mode = \"monitor\"\nquote.pcrs = [0, 2, 7]")), "quote-pcr-digest");
}

TEST_F(EvidenceTest, SelectionIsExactlyTheProfiles) {
  quote({{0, {1}}, {2, {2}}});
  EXPECT_EQ(reason(quoting), "quote-pcr-selection") << "one less";
  quote({{0, {1}}, {1, {1}}, {2, {2}}, {7, {3}}});
  EXPECT_EQ(reason(quoting), "quote-pcr-selection") << "one more";
  quote();
  evidence_.quote->pcrs.erase(7);
  EXPECT_EQ(reason(quoting), "quote-pcr-selection") << "a value left out";
  quote();
  EXPECT_EQ(reason(), "quote-pcr-selection") << "none was wanted";
  quote({});
  EXPECT_EQ(reason(), "quote-pcr-selection") << "none was wanted, nor an empty one";
  quote();
  TPMS_ATTEST other_bank = device_.quote(binding(), pcrs);
  other_bank.attested.quote.pcrSelect.pcrSelections[0].hash = TPM2_ALG_SHA1;
  evidence_.quote->quote = device_.sign_attest(other_bank);
  EXPECT_EQ(reason(quoting), "quote-pcr-selection");
  TPMS_ATTEST two_banks = device_.quote(binding(), pcrs);
  two_banks.attested.quote.pcrSelect.count = 2;
  two_banks.attested.quote.pcrSelect.pcrSelections[1] = two_banks.attested.quote.pcrSelect.pcrSelections[0];
  evidence_.quote->quote = device_.sign_attest(two_banks);
  EXPECT_EQ(reason(quoting), "quote-pcr-selection");
}

TEST_F(EvidenceTest, QuoteHasTheSameChallenge) {
  const SignedAttest stale = device_.sign_attest(device_.quote(Bytes(32, 0), pcrs));
  evidence_.quote = QuoteEvidence{stale, pcrs};
  EXPECT_EQ(reason(quoting), "attest-binding");
  evidence_.quote->quote = SoftwareTpm().sign_attest(device_.quote(binding(), pcrs));
  EXPECT_EQ(reason(quoting), "attest-signature");
  evidence_.quote->quote = *evidence_.certify;
  EXPECT_EQ(reason(quoting), "attest-type");
}

TEST_F(EvidenceTest, OldFirmwareIsRefusedAndMonitored) {
  const std::string deny = "[[deny]]\nmodel = \"ST33\"\nfirmware_below = \"1.2.3.5\"";
  EXPECT_EQ(reason(policy(deny)), "device-firmware-refused");
  const auto monitored = verdict(policy("mode = \"monitor\"\n" + deny));
  EXPECT_EQ(monitored.value().findings.at(0).reason, "device-firmware-refused");
  EXPECT_EQ(reason(policy("[[deny]]\nmodel = \"ST33\"\nfirmware_below = \"1.2.3.4\"")), "");
}

TEST_F(EvidenceTest, RequestMayCarryTheCertification) {
  const Bytes info = device_.request_info(impu);
  const tokens::Sha256 bound =
      tokens::qualifying_data({challenge_.nonce, tokens::sha256(info), challenge_.impu, challenge_.server});
  const SignedAttest certify = device_.sign_attest(device_.certify(bound));
  const Bytes attested = tokens::add_attestation(info, {certify.attest, certify.signature, {}}).value();
  evidence_.request = device_.sign_request(attested);
  evidence_.certify.reset();
  EXPECT_EQ(reason(), "");
  challenge_.nonce[0] ^= 1U;
  EXPECT_EQ(reason(), "attest-binding");
  challenge_.nonce[0] ^= 1U;
  const Bytes other_subject =
      tokens::add_attestation(device_.request_info("sip:bob@a.example"), {certify.attest, certify.signature, {}})
          .value();
  evidence_.request = device_.sign_request(other_subject);
  EXPECT_EQ(reason(), "attest-binding") << "the rest of the request is bound";
}

TEST(ProgressTest, CountersNeverGoBack) {
  const Counters before{.resets = 5, .restarts = 2, .clock = 1000, .safe = true};
  const auto back = [&](std::uint32_t resets, std::uint32_t restarts, std::uint64_t clock, bool safe) {
    const auto checked = check_progress(before, {resets, restarts, clock, safe, 0});
    return !checked && checked.error().reason == "device-rolled-back";
  };
  EXPECT_FALSE(back(5, 2, 1000, true));
  EXPECT_FALSE(back(5, 2, 1001, false));
  EXPECT_FALSE(back(6, 0, 1001, true));
  EXPECT_TRUE(back(4, 9, 2000, true));
  EXPECT_TRUE(back(5, 1, 2000, true));
  EXPECT_TRUE(back(5, 2, 999, false)) << "within one boot the clock only runs forward";
  EXPECT_FALSE(back(6, 0, 900, false)) << "an unclean stop";
  EXPECT_TRUE(back(6, 0, 900, true)) << "the TPM says that the clock was never higher";
  EXPECT_TRUE(back(0, 0, 10, true)) << "cleared";
}

}  // namespace
}  // namespace avseal::attestation
