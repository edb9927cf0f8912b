#include "attestation/evidence.hpp"

#include <algorithm>
#include <tuple>

#include <fmt/format.h>

#include "attestation/refused.hpp"
#include "structures/attest.hpp"
#include "tokens/csr_attestation.hpp"
#include "tokens/digest.hpp"
#include "tokens/enrolment_binding.hpp"

namespace avseal::attestation {

namespace {

template <class Sized>
ByteView view_of(const Sized& sized, const std::uint8_t* data) {
  return {data, sized.size};
}

ByteView view_of(const TPM2B_NAME& name) {
  return view_of(name, name.name);
}

bool same(ByteView a, ByteView b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end());
}

// What the device was asked to attest, and about.
struct Expected {
  const DeviceKeys& keys;
  tokens::Sha256 binding;
};

// An attest that the attestation key signed, of this type and for this challenge. Its content is used only after the
// signature verified.
Result<TPMS_ATTEST> open_attest(const SignedAttest& evidence, TPMI_ST_ATTEST type, std::string_view what,
                                const Expected& expected) {
  const auto attest = tpm::unmarshal_attest(evidence.attest);
  const auto signature = tpm::unmarshal_signature(evidence.signature);
  if (!attest || !signature) {
    return refused("attest-malformed",
                   fmt::format("{}: {}", what, (attest ? signature.error() : attest.error()).detail));
  }
  const auto raw = tpm::raw_signature(*signature);
  if (!raw || !expected.keys.ak.verify(evidence.attest, *raw)) {
    return refused(
        "attest-signature",
        fmt::format("{}: the signature is not the attestation key's: it was altered, or another key signed", what));
  }
  if (attest->magic != TPM2_GENERATED_VALUE) {
    return refused("attest-magic", fmt::format("{}: expected TPM_GENERATED, found another magic", what));
  }
  if (attest->type != type) {
    return refused("attest-type", fmt::format("{}: expected type 0x{:04X}, found 0x{:04X}", what, type, attest->type));
  }
  if (!same(view_of(attest->qualifiedSigner), expected.keys.ak_qualified_name)) {
    return refused("attest-signer",
                   fmt::format("{}: expected to be signed by a primary key of the endorsement hierarchy with the "
                               "attestation key's Name, found another qualified signer",
                               what));
  }
  if (!tokens::equal_constant_time(view_of(attest->extraData, attest->extraData.buffer), expected.binding)) {
    return refused(
        "attest-binding",
        fmt::format("{}: expected qualifyingData of this challenge's nonce, this request, this IMPU and this "
                    "server, found other data",
                    what));
  }
  return *attest;
}

Result<TPMS_ATTEST> open_certify(const SignedAttest& evidence, const Expected& expected) {
  AVSEAL_TRY(const TPMS_ATTEST attest, open_attest(evidence, TPM2_ST_ATTEST_CERTIFY, "certify", expected));
  const TPMS_CERTIFY_INFO& certified = attest.attested.certify;
  if (!same(view_of(certified.name), expected.keys.key_name)) {
    return refused("attest-name", "certify: expected the Name of the UE key's public area, found another key's");
  }
  if (!same(view_of(certified.qualifiedName), expected.keys.key_qualified_name)) {
    return refused(
        "attest-qualified-name",
        "certify: expected the UE key below the given storage key in the owner hierarchy, found it elsewhere");
  }
  return attest;
}

// The PCRs of one SHA-256 bank that a quote selected; empty if it is something else.
std::vector<unsigned> selected(const TPML_PCR_SELECTION& selection) {
  std::vector<unsigned> pcrs;
  if (selection.count != 1 || selection.pcrSelections[0].hash != TPM2_ALG_SHA256) return pcrs;
  const TPMS_PCR_SELECTION& bank = selection.pcrSelections[0];
  for (unsigned pcr = 0; pcr < 8U * bank.sizeofSelect; ++pcr) {
    if ((bank.pcrSelect[pcr / 8] >> (pcr % 8) & 1U) != 0) pcrs.push_back(pcr);
  }
  return pcrs;
}

Result<TPMS_ATTEST> open_quote(const QuoteEvidence& evidence, const Expected& expected,
                               const std::vector<unsigned>& wanted) {
  AVSEAL_TRY(const TPMS_ATTEST attest, open_attest(evidence.quote, TPM2_ST_ATTEST_QUOTE, "quote", expected));
  const TPMS_QUOTE_INFO& quote = attest.attested.quote;
  std::vector<unsigned> claimed;
  Bytes values;
  for (const auto& [pcr, value] : evidence.pcrs) {
    claimed.push_back(pcr);
    values.insert(values.end(), value.begin(), value.end());
  }
  if (wanted.empty() || selected(quote.pcrSelect) != wanted || claimed != wanted) {
    return refused("quote-pcr-selection",
                   fmt::format("expected a quote of exactly the PCRs [{}] of the SHA-256 bank, with their values",
                               fmt::join(wanted, ", ")));
  }
  if (!same(view_of(quote.pcrDigest, quote.pcrDigest.buffer), tokens::sha256(values))) {
    return refused("quote-pcr-digest", "the PCR values are not those that the TPM quoted");
  }
  return attest;
}

Counters counters_of(const TPMS_ATTEST& attest) {
  const TPMS_CLOCK_INFO& clock = attest.clockInfo;
  return {clock.resetCount, clock.restartCount, clock.clock, clock.safe == TPM2_YES, attest.firmwareVersion};
}

bool earlier(const Counters& a, const Counters& b) {
  return std::tie(a.resets, a.restarts, a.clock) < std::tie(b.resets, b.restarts, b.clock);
}

// What TPM2_Certify said and is bound to.
struct CertifyEvidence {
  SignedAttest attest;
  tokens::Sha256 request_digest;
};

Result<CertifyEvidence> certify_evidence(const Evidence& evidence) {
  if (evidence.certify) return CertifyEvidence{*evidence.certify, tokens::sha256(evidence.request)};
  AVSEAL_TRY(const auto carried, tokens::attestation_of(evidence.request));
  if (!carried) return refused("attest-missing", "expected TPM2_Certify of the UE key, found none");
  return CertifyEvidence{{carried->statement.attest, carried->statement.signature},
                         tokens::sha256(carried->request_info)};
}

// The name of the golden set; empty in monitor mode if there is none.
Result<std::string> match_pcrs(const PcrValues& values, const Trust& trust, Findings& findings) {
  const PcrSet* set = trust.pcr_sets ? trust.pcr_sets->find(values) : nullptr;
  if (set != nullptr) return set->name;
  AVSEAL_CHECK(findings.judge(
      refused("quote-pcr-unknown",
              "no golden PCR set has these values: boot a known state, or have its values signed into the sets")));
  return std::string();
}

}  // namespace

Result<void> check_progress(const Counters& before, const Counters& now) {
  const auto boot_before = std::tie(before.resets, before.restarts);
  const auto boot_now = std::tie(now.resets, now.restarts);
  // After an unclean stop the clock may have gone back a little, which the TPM says.
  const bool clock_counts = boot_now == boot_before || now.safe;
  if (boot_now < boot_before || (clock_counts && now.clock < before.clock)) {
    return refused("device-rolled-back",
                   fmt::format("expected the TPM later than resetCount {}, restartCount {}, clock {} ms, found it at "
                               "{}, {}, {}: its state was copied or set back, or it was cleared",
                               before.resets, before.restarts, before.clock, now.resets, now.restarts, now.clock));
  }
  return {};
}

Result<Verdict> judge(const Evidence& evidence, const DeviceKeys& keys, const TpmIdentity& tpm,
                      const Challenge& challenge, const Trust& trust, const Policy& policy) {
  Findings findings(policy.mode);
  AVSEAL_TRY(tokens::CertificateRequest request, tokens::CertificateRequest::from_der(evidence.request));
  if (!(request.key == keys.key)) {
    return refused("csr-key-mismatch", "expected a request for the UE key of the challenge, found another key");
  }
  AVSEAL_TRY(const CertifyEvidence certify, certify_evidence(evidence));
  const Expected expected{
      keys, tokens::qualifying_data({challenge.nonce, certify.request_digest, challenge.impu, challenge.server})};
  AVSEAL_TRY(const TPMS_ATTEST certified, open_certify(certify.attest, expected));
  Verdict verdict{std::move(request), counters_of(certified), counters_of(certified), {}, {}};
  if (evidence.quote) {
    AVSEAL_TRY(const TPMS_ATTEST quoted, open_quote(*evidence.quote, expected, policy.pcrs));
    const Counters counters = counters_of(quoted);
    (earlier(counters, verdict.first) ? verdict.first : verdict.last) = counters;
    AVSEAL_TRY(verdict.pcr_set, match_pcrs(evidence.quote->pcrs, trust, findings));
  } else if (policy.quote_required) {
    AVSEAL_CHECK(findings.judge(refused("quote-missing", "the profile requires a quote of PCRs, found none")));
  }
  AVSEAL_CHECK(findings.judge(policy.check_firmware(tpm, verdict.last.firmware)));
  verdict.findings = findings.all();
  return verdict;
}

}  // namespace avseal::attestation
