// Platform certificates: a device maker's word that a TPM is in its device (TCG Platform Certificate Profile 1.1).
#pragma once

#include <span>

#include "attestation/anchors.hpp"
#include "attestation/ek_certificate.hpp"

namespace avseal::attestation {

struct PlatformIdentity {
  std::string manufacturer;
  std::string model;
  std::string version;
  std::string serial;  // may be empty
};

// In either form: a public-key certificate of the EK's own key, as swtpm makes it, or the TCG's attribute certificate
// about the holder of the EK certificate. The manufacturer's string names the anchors. Reasons
// "platform-certificate-malformed", "-san"; "-key-mismatch", "-is-ca", "-eku" of the first form; "-holder" of the
// second, whose signer must have key usage digitalSignature; and with the same beginning those of Anchors::verify().
Result<PlatformIdentity> verify_platform_certificate(ByteView der, const EkCertificate& ek,
                                                     std::span<const Bytes> chain, const Anchors& anchors,
                                                     ChainOptions options, UnixSeconds now);

}  // namespace avseal::attestation
