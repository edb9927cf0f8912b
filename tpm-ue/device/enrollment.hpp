// Attested enrollment and renewal (design section 9), without a transport: whoever uses it carries the bodies.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "tokens/certificate.hpp"
#include "tokens/impu.hpp"
#include "tpm/endorsement.hpp"

namespace avseal::device {

struct EnrollmentRequest {
  tokens::Impu impu;
  std::string server;    // id of the enrollment role that the caller believes to talk to; no other is answered
  std::string code{};    // of the operator, for one IMPU; empty where this device is bound to the IMPU already
  std::string serial{};  // of the device, if its maker's manifest knows it
  std::optional<tpm::EkType> ek{};  // else the one of the last enrollment, else the first that has a certificate
};

// A POST with a JSON body.
struct Leg {
  std::string path;
  std::string body;
};

// One enrollment: send first(), give the answer to answer(), send what it returns, give the answer to finish(). The
// device's key and certificate stay what they are until finish() has the new ones on disk; an enrollment that is given
// up leaves nothing behind. Holds the lock of the state directory. Belongs to its Device, which outlives it, and to one
// thread.
class Enrollment {
 public:
  virtual ~Enrollment() = default;
  [[nodiscard]] virtual const Leg& first() const = 0;
  // Activates the credential, certifies and quotes. Reasons "enrollment-answer-malformed",
  // "enrollment-server-mismatch", "tpm-credential-refused", others of the TPM.
  virtual Result<Leg> answer(std::string_view challenge) = 0;
  // Keeps the new key with its certificate and makes them current; may be called again if that failed. Reasons
  // "enrollment-answer-malformed", "ue-certificate-refused", "certificate-expired", those of the state directory.
  virtual Result<tokens::Certificate> finish(std::string_view issued) = 0;
};

}  // namespace avseal::device
