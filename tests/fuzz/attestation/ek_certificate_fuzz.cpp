// An EK certificate as a device may send it: read within its bounds, and a key that was read can be encrypted to.
#include <cstdlib>

#include "attestation/credential.hpp"

using namespace avseal;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto ek = attestation::EkCertificate::read({data, size});
  if (!ek) return 0;
  const attestation::TpmIdentity& tpm = ek->tpm();
  if (ek->device_id().size() != 64 || tpm.vendor.size() != 11 || tpm.model.empty() || ek->der().size() != size) {
    std::abort();
  }
  if (!attestation::make_credential(ek->key(), Bytes(34), Bytes(32))) std::abort();
  return 0;
}
