// The fault-injecting PKCS#11 module: avseal-fault-pkcs11.so forwards every call to a real module, and disturbs it by
// rules. It is for tests and for `avseal drill` on a staging site.
//
// AVSEAL_FAULTS names a directory, which all processes that load the module share:
// - `module`: path of the real module (SoftHSM's if there is no such file).
// - `rules`: the rules; read again whenever the file changes, before the next call. Write another file and rename it.
// - `rules.error`: why the last rules could not be read; those before stay in force. Gone when all is well.
// - `PID.facts`: what happened in that process (facts.hpp); outlives it.
// - `uses`: what `record-uses` records.
// - `spent/`: a file for each time that a rule with `times` struck, in all processes together.
//
// A rule is a line "NAME EFFECT KEY=VALUE ..."; NAME is unique and of letters, digits, '.', '_' and '-'. Blank lines
// and lines that begin with # say nothing. Every rule takes token=LABEL and serial=SERIAL (without: every token; calls
// that belong to no token match only such rules) and until=MS (Unix time in milliseconds, the rule's end).
//
// While the rule stands, at calls of function=C_A,C_B,... or function=*, in the order of the file:
// - `return code=CKR_... [forwarded=yes]`: that code instead of the call, or after the call was made.
// - `delay ms=N`: waits first.
// - `hang`: waits until the rule is gone.
// - `crash [signal=SEGV|ABRT]`.
// - `latency ms=N parallel=P`: a network HSM; a call takes N ms, P at once in a process, the others wait.
//
// and at C_Sign:
// - `signature form=short|long|flipped|der|other-key`; other-key: of another key that this process has signed with.
//
// All of these take times=N, probability=P (0 to 1) and seed=N. Milliseconds may have decimals.
//
// While the rule stands:
// - `removed [code=CKR_DEVICE_REMOVED]`: no such token; its sessions and its login are gone, also when it is back.
// - `slots shift=N`: its slot has another number.
// - `pin-flags flags=COUNT_LOW,FINAL_TRY,LOCKED`.
// - `session-limit max=N [code=CKR_SESSION_COUNT]`: per process.
// - `read-only-refused [code=CKR_FUNCTION_FAILED]`: no sessions without CKF_RW_SESSION.
// - `no-locking`: C_Initialize with CKF_OS_LOCKING_OK gives CKR_CANT_LOCK; overlapping calls are counted.
// - `no-mechanism mechanism=CKM_A,...`.
// - `hashing-ecdsa`: CKM_ECDSA_SHA256 and _SHA384 are there.
// - `ec-point form=der|raw|bit-string`: of CKA_EC_POINT.
// - `idle-timeout ms=N`: sessions end that were not used for so long.
// - `record-uses`: a line "TOKEN LABEL" for each signature that the real module made, with the key's label.
//
// Once per process, before its next call:
// - `invalidate-sessions`: every session is gone, and so the login.
// - `logout`: everybody is logged out.
// - `swap-objects`: an object handle from before means another key now.
// - `renumber-objects`: an object handle from before means nothing now.
#pragma once

#include <bitset>
#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "tests/faults/module/functions.hpp"
#include "tokens/result.hpp"

namespace avseal::faults {

enum class Effect {
  return_code,
  delay,
  hang,
  crash,
  latency,
  signature,
  removed,
  slots,
  pin_flags,
  session_limit,
  read_only_refused,
  no_locking,
  no_mechanism,
  hashing_ecdsa,
  ec_point,
  idle_timeout,
  record_uses,
  invalidate_sessions,
  logout,
  swap_objects,
  renumber_objects,
};
enum class SignatureForm { too_short, too_long, flipped, der, other_key };
enum class PointForm { der, raw, bit_string };

struct Rule {
  std::string name;
  Effect effect = Effect::hang;
  std::string token;                   // empty: any
  std::string serial;                  // empty: any
  std::chrono::milliseconds until{0};  // since 1970; 0: for ever
  std::bitset<function_count> functions;
  std::uint64_t times = 0;  // 0: for ever
  double probability = 1;
  std::uint64_t seed = 0;
  CK_RV code = CKR_OK;
  bool forwarded = false;
  std::chrono::microseconds duration{0};
  unsigned long number = 0;  // parallel, max, shift
  int signal = 0;
  SignatureForm signature = SignatureForm::flipped;
  PointForm point = PointForm::der;
  CK_FLAGS flags = 0;
  std::vector<CK_MECHANISM_TYPE> mechanisms;
};

// Reason "rules-invalid"; the detail begins with "rules:LINE:".
Result<std::vector<Rule>> parse_rules(std::string_view text);

}  // namespace avseal::faults
