#pragma once

#include <filesystem>
#include <optional>

#include "attestation/anchors.hpp"
#include "attestation/documents.hpp"
#include "attestation/pcr_sets.hpp"

namespace avseal::attestation {

struct Policy;

// Signed documents, each beside its .sig; an empty path: there is none.
struct TrustFiles {
  std::filesystem::path ek_anchors;
  std::filesystem::path platform_anchors;
  std::filesystem::path pcr_sets;
};

// What the operator trusts. The documents' versions are for the store, which knows the highest that was seen.
struct Trust {
  Anchors ek;
  std::optional<Anchors> platform;
  std::optional<PcrSets> pcr_sets;

  // Reasons of documents.hpp, anchors.hpp and pcr_sets.hpp; details begin with the file.
  static Result<Trust> load(const TrustFiles& files, const DocumentSigner& signer);
  // Does the profile find here what it needs? Reason "configuration-invalid".
  [[nodiscard]] Result<void> check(const Policy& policy) const;
};

}  // namespace avseal::attestation
