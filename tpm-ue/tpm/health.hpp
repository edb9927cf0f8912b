// What a TPM says about its own state, for people who look for a fault.
#pragma once

#include "tpm/context.hpp"

namespace avseal::tpm {

struct Health {
  // Dictionary attack: wrong passwords so far, how many lock, and the seconds after which one is forgotten.
  std::uint32_t lockout_counter = 0;
  std::uint32_t lockout_limit = 0;
  std::uint32_t lockout_interval = 0;
  bool in_lockout = false;
  bool lockout_auth_set = false;
  bool owner_auth_set = false;
  bool endorsement_auth_set = false;
  // Slots that are free now, as the TPM estimates.
  std::uint32_t object_slots = 0;
  std::uint32_t session_slots = 0;
  std::uint32_t persistent_slots = 0;
  // TPMS_TIME_INFO.
  std::uint64_t clock = 0;  // milliseconds of power
  std::uint32_t reset_count = 0;
  std::uint32_t restart_count = 0;
  bool clock_safe = false;  // false: it may have gone back, after an unclean stop
};
Result<Health> read_health(Context& context);

}  // namespace avseal::tpm
