#pragma once

#include <chrono>
#include <optional>
#include <vector>

#include "pkcs11/signing.hpp"

namespace avseal::tokend {

// How a module differs from what the standard says and most do. A profile sets them; without one these values hold.
struct Quirks {
  bool read_only_sessions = true;  // false: read-write from the start, instead of after a refusal
  bool os_locking = true;          // false: not even asked for; one session in one thread
  pkcs11::Ecdsa ecdsa = pkcs11::Ecdsa::automatic;
  std::optional<unsigned> sessions;       // where tokend.toml does not say how many
  std::chrono::seconds keepalive{30};     // a session that was idle for so long signs a probe; 0: never
  std::vector<CK_RV> busy_codes;          // the HSM is busy: no reason to replace a session or the process
  std::vector<CK_RV> session_lost_codes;  // besides the standard's
  std::vector<CK_RV> device_lost_codes;   // besides the standard's
};

// What an error asks for.
enum class Remedy {
  none,         // it is a refusal; the HSM is well
  wait,         // the HSM is busy
  count,        // the HSM failed; nothing to be done unless that goes on
  new_session,  // the session is not to be used again
  new_process,  // the module is to be initialised anew
};
Remedy remedy_of(const Error& error, const Quirks& quirks);

}  // namespace avseal::tokend
