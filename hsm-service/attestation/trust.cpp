#include "attestation/trust.hpp"

#include <algorithm>

#include "attestation/policy.hpp"

namespace avseal::attestation {

namespace {

// The error of a document's content, with the file it is in.
template <class T>
Result<T> of_file(Result<T> parsed, const std::filesystem::path& file) {
  if (parsed) return parsed;
  Error error = parsed.error();
  error.detail = file.string() + ": " + (error.param.empty() ? "" : error.param + ": ") + error.detail;
  return error;
}

Error inconsistent(const Policy& policy, std::string_view what) {
  return errors::make(Category::invalid, "configuration-invalid",
                      "the profile \"" + policy.name + "\" needs " + std::string(what));
}

}  // namespace

Result<Trust> Trust::load(const TrustFiles& files, const DocumentSigner& signer) {
  Trust trust;
  AVSEAL_TRY(const std::string ek, load_document(files.ek_anchors, signer));
  AVSEAL_TRY(trust.ek, of_file(Anchors::parse(ek, AnchorKind::ek), files.ek_anchors));
  if (!files.platform_anchors.empty()) {
    AVSEAL_TRY(const std::string platform, load_document(files.platform_anchors, signer));
    AVSEAL_TRY(trust.platform, of_file(Anchors::parse(platform, AnchorKind::platform), files.platform_anchors));
  }
  if (!files.pcr_sets.empty()) {
    AVSEAL_TRY(const std::string sets, load_document(files.pcr_sets, signer));
    AVSEAL_TRY(trust.pcr_sets, of_file(PcrSets::parse(sets), files.pcr_sets));
  }
  return trust;
}

Result<void> Trust::check(const Policy& policy) const {
  const bool by_platform =
      std::find(policy.binding.begin(), policy.binding.end(), Binding::platform_certificate) != policy.binding.end();
  if (by_platform && !platform) return inconsistent(policy, "platform anchors for its platform certificates");
  if (policy.pcrs.empty()) return {};
  if (!pcr_sets) return inconsistent(policy, "PCR sets for its quotes");
  for (const PcrSet& set : pcr_sets->sets) {
    const bool covers = std::all_of(policy.pcrs.begin(), policy.pcrs.end(),
                                    [&](unsigned pcr) { return set.pcrs.find(pcr) != set.pcrs.end(); });
    if (!covers) return inconsistent(policy, "every PCR that it quotes in the set \"" + set.name + "\"");
  }
  return {};
}

}  // namespace avseal::attestation
