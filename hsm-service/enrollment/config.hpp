#pragma once

#include <cstddef>
#include <cstdint>

namespace avseal::enrollment {

struct Config {
  std::int64_t certificate_lifetime =
      30 * 24 * 3600;                      // seconds; within the validity that the HSM worker allows for ue-ca
  std::int64_t code_lifetime = 24 * 3600;  // seconds, unless the operator says otherwise
  std::int64_t max_code_lifetime = 7 * 24 * 3600;
  // Enrolments without a client certificate, per address (IPv6: per /64).
  double attempts_per_minute = 6;
  unsigned burst = 10;
  std::size_t max_addresses = 10'000;  // remembered at once; beyond that, new addresses wait
};

}  // namespace avseal::enrollment
