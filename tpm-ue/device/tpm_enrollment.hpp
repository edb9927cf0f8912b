#pragma once

#include <filesystem>

#include "device/current.hpp"
#include "device/enrollment.hpp"

namespace avseal::device {

// The parts of a device that its enrollments work on.
struct EnrollmentSite {
  const StateDirectory& directory;
  const std::filesystem::path& credentials;
  const Clock& clock;
  std::shared_ptr<CurrentHolder> current;
  tpm::Worker& worker;
};

// Makes a new UE key and the attestation key, which for a renewal must be the one of the last enrollment; reads the
// endorsement certificates where it is none. Reasons "device-not-enrolled", "ek-certificate-missing",
// "tpm-ek-mismatch", "tpm-ak-mismatch", others of the TPM.
Result<std::unique_ptr<Enrollment>> begin_enrollment(const EnrollmentSite& site, EnrollmentRequest request);
Result<std::unique_ptr<Enrollment>> begin_renewal(const EnrollmentSite& site);

// Makes current what the directory holds, which another process may have changed. The key before leaves the TPM in the
// same step; the next signature loads the new one.
Result<void> take_from_disk(const EnrollmentSite& site);

// Certifies the current UE key by the attestation key of the last enrollment.
Result<void> test_attestation(const EnrollmentSite& site);

}  // namespace avseal::device
