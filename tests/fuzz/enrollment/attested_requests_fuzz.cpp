// Bodies of an attested enrolment's legs, and what operators send about devices.
#include <cstdlib>

#include "enrollment/attested_requests.hpp"
#include "enrollment/device_requests.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace avseal;
  if (size == 0) return 0;
  const auto text = as_text(ByteView(data + 1, size - 1));
  switch (data[0] % 5) {
    case 0: {
      const auto wanted = enrollment::parse_challenge_request(text);
      if (!wanted) return 0;
      if (wanted->ek.has_value() != wanted->device.empty()) std::abort();
      if (wanted->ak.empty() || wanted->key.empty() || wanted->parent.empty()) std::abort();
      break;
    }
    case 1: {
      const auto answer = enrollment::parse_certificate_answer(text);
      if (answer && answer->evidence.request.empty()) std::abort();
      break;
    }
    case 2: {
      const auto revocation = enrollment::parse_revocation(text);
      if (revocation && (revocation->value.empty() || revocation->reason.empty())) std::abort();
      break;
    }
    case 3:
      static_cast<void>(enrollment::parse_manifest_request(text));
      break;
    default: {
      const auto query = enrollment::parse_device_query({{"limit", std::string(text)}});
      if (query && (query->limit < 1 || query->limit > 500)) std::abort();
    }
  }
  return 0;
}
