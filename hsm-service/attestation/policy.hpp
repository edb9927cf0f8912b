// The policy profile of an enrollment role: which devices get certificates. docs/devices.md explains each member.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "tokens/result.hpp"

namespace avseal::attestation {

enum class Mode { enforce, monitor };
enum class Binding { manifest, platform_certificate };
enum class EkType { rsa2048, p256, p384 };
enum class Artifact { ek_certificate, platform_certificate, keys, certify, quote, request };

std::string_view to_string(EkType type);  // "rsa-2048", "p-256", "p-384"

// What an EK certificate says about the TPM (TCG EK Credential Profile 2.3, 3.2.9).
struct TpmIdentity {
  std::string vendor;   // "id:53544D20"
  std::string model;    // "ST33HTPHAHD4"
  std::string version;  // "id:00010102"
};

// What all given members match is refused.
struct Denial {
  std::string vendor;          // empty: any
  std::string model;           // of the TPM; empty: any
  std::string firmware_below;  // "7.85.0.0"; empty: any firmware. Compared with what the TPM itself attests
};

struct Policy {
  std::string name;
  bool test = false;  // admits software TPMs
  Mode mode = Mode::enforce;
  std::vector<Binding> binding;  // any of these will do
  std::vector<EkType> ek_types;
  std::vector<std::string> ek_vendors;  // empty: every vendor of the anchor bundle
  bool expired_once_enrolled = false;   // an EK certificate must be valid at the first enrolment only
  bool revocation_required = false;     // an unknown revocation state of an EK certificate is a refusal
  std::vector<std::uint32_t> ak_attributes;
  std::vector<std::uint32_t> key_attributes;
  std::vector<std::uint32_t> parent_attributes;
  bool quote_required = false;
  std::vector<unsigned> pcrs;  // of the SHA-256 bank; sorted. Empty: no quote is wanted
  std::vector<Denial> denials;
  std::int64_t certificate_lifetime = 0;  // seconds
  std::int64_t ak_max_age = 0;            // seconds
  std::vector<Artifact> archive;

  // TOML, strict. Reason "configuration-invalid"; the detail begins with file:line.
  static Result<Policy> parse(std::string_view text, const std::filesystem::path& file);
  static Result<Policy> load(const std::filesystem::path& file);

  [[nodiscard]] bool archives(Artifact artifact) const;

  // Reason "ek-vendor-refused" for a TPM that is a program in another than a test profile, and for a vendor that is not
  // listed: never let through.
  [[nodiscard]] Result<void> check_vendor(const TpmIdentity& tpm) const;
  // Policy checks for Findings: reasons "ek-vendor-refused", "device-model-refused"; and "device-firmware-refused", for
  // the version that the TPM attested.
  [[nodiscard]] Result<void> check_denials(const TpmIdentity& tpm) const;
  [[nodiscard]] Result<void> check_firmware(const TpmIdentity& tpm, std::uint64_t firmware) const;
};

// What enforce would have refused. Only for policy: a cryptographic check is never let through.
class Findings {
 public:
  explicit Findings(Mode mode) : mode_(mode) {}
  // The error itself if the mode is to enforce; else it is kept.
  Result<void> judge(Result<void> check);
  [[nodiscard]] const std::vector<Error>& all() const { return all_; }

 private:
  Mode mode_;
  std::vector<Error> all_;
};

}  // namespace avseal::attestation
