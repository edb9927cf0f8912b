#pragma once

#include <filesystem>
#include <string>

#include "device/device.hpp"

namespace avseal::ue {

struct Presentation {
  std::string url;                // https://host[:port]/path of the XR AS
  std::filesystem::path anchors;  // CAs of its certificate, PEM
  std::string body;               // JSON
};

struct Answer {
  unsigned status = 0;
  std::string body;
};

// One HTTP/1.1 POST over TLS 1.3 whose client certificate is the UE certificate, signed by the TPM. At most 64 KiB of
// answer, 30 s. Reasons "present-url", "present-failed", and those of Device::authenticate_tls.
Result<Answer> present(device::Device& device, const Presentation& presentation);

}  // namespace avseal::ue
