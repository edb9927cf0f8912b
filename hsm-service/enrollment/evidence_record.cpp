#include "enrollment/evidence_record.hpp"

#include "enrollment/device_facts.hpp"
#include "tokens/base64.hpp"

namespace avseal::enrollment {
namespace {

using attestation::Artifact;

boost::json::string text(ByteView bytes) {
  return boost::json::string(tokens::base64url_encode(bytes));
}

boost::json::object attest(const attestation::SignedAttest& of) {
  return {{"attest", text(of.attest)}, {"signature", text(of.signature)}};
}

boost::json::object quote_of(const attestation::QuoteEvidence& evidence) {
  auto out = attest(evidence.quote);
  boost::json::object pcrs;
  for (const auto& [index, value] : evidence.pcrs) pcrs[std::to_string(index)] = tokens::hex_encode(value);
  out["pcrs"] = std::move(pcrs);
  return out;
}

void add_ek(boost::json::object& out, const EkClaim& ek, const attestation::Policy& policy) {
  if (policy.archives(Artifact::ek_certificate)) {
    out["ek_certificate"] = text(ek.certificate);
    boost::json::array chain;
    for (const auto& certificate : ek.chain) chain.push_back(text(certificate));
    out["ek_chain"] = std::move(chain);
  }
  if (ek.platform_certificate && policy.archives(Artifact::platform_certificate)) {
    out["platform_certificate"] = text(*ek.platform_certificate);
  }
}

}  // namespace

boost::json::array reasons_of(const std::vector<Error>& findings) {
  boost::json::array out;
  for (const auto& finding : findings) out.emplace_back(finding.reason);
  return out;
}

boost::json::object evidence_record(const Challenge& challenge, const CertificateAnswer& answer,
                                    const attestation::Verdict& verdict, const attestation::Policy& policy,
                                    const std::string& server, UnixSeconds now) {
  const auto& device = challenge.device;
  boost::json::object out{{"time", now},
                          {"device", device.id},
                          {"impu", challenge.impu.canonical()},
                          {"maker", device.maker},
                          {"model", device.model},
                          {"batch", device.batch},
                          {"tpm", device.tpm},
                          {"firmware", device.firmware},
                          {"nonce", text(challenge.nonce)},
                          {"server", server},
                          {"profile", policy.name},
                          {"mode", policy.mode == attestation::Mode::enforce ? "enforce" : "monitor"},
                          {"findings", reasons_of(challenge.findings)},
                          {"pcr_set", verdict.pcr_set},
                          {"resets", verdict.last.resets},
                          {"restarts", verdict.last.restarts},
                          {"clock", verdict.last.clock},
                          {"clock_safe", verdict.last.safe}};
  if (!challenge.serial.empty()) out["serial"] = challenge.serial;
  if (challenge.ek) add_ek(out, *challenge.ek, policy);
  if (policy.archives(Artifact::keys)) {
    out["ak_name"] = tokens::hex_encode(challenge.keys.ak_name);
    out["ak"] = challenge.keys.ak.jwk();
    out["key_name"] = tokens::hex_encode(challenge.keys.key_name);
    out["key"] = challenge.keys.key.jwk();
  }
  if (answer.evidence.certify && policy.archives(Artifact::certify)) out["certify"] = attest(*answer.evidence.certify);
  if (answer.evidence.quote && policy.archives(Artifact::quote)) out["quote"] = quote_of(*answer.evidence.quote);
  if (policy.archives(Artifact::request)) out["request"] = text(answer.evidence.request);
  return out;
}

}  // namespace avseal::enrollment
