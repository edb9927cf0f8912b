#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "attestation/trust.hpp"

namespace avseal::enrollment {

// What attested enrolment trusts. The files are read again by RuleBook::reread().
struct AttestationConfig {
  struct Maker {
    std::string name;              // as its manifests say
    std::filesystem::path signer;  // PEM certificate or public key
  };
  std::filesystem::path profile;
  attestation::TrustFiles documents;
  std::filesystem::path signer;  // of the documents; PEM certificate or public key
  std::vector<Maker> makers;
  std::filesystem::path evidence_directory;  // empty: nothing is archived
};

struct Config {
  std::int64_t certificate_lifetime =
      30 * 24 * 3600;                      // seconds, in the simple form; within what the HSM worker allows for ue-ca
  std::int64_t code_lifetime = 24 * 3600;  // seconds, unless the operator says otherwise
  std::int64_t max_code_lifetime = 7 * 24 * 3600;
  // Enrolments without a client certificate, per address (IPv6: per /64).
  double attempts_per_minute = 6;
  unsigned burst = 10;
  std::size_t max_addresses = 10'000;            // remembered at once; beyond that, new addresses wait
  std::string server;                            // public URL, which evidence is bound to
  std::optional<AttestationConfig> attestation;  // absent: only the simple form
  std::size_t max_challenges = 1024;             // waiting at once
  std::chrono::seconds challenge_lifetime{60};
};

}  // namespace avseal::enrollment
