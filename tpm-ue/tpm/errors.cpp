#include "tpm/errors.hpp"

#include <algorithm>
#include <array>

#include <fmt/format.h>
#include <tss2/tss2_esys.h>
#include <tss2/tss2_rc.h>
#include <tss2/tss2_tcti.h>

namespace avseal::tpm {

namespace {

constexpr std::string_view transport = "tpm-transport";
constexpr std::string_view state_lost = "tpm-state-lost";
constexpr std::string_view slots_exhausted = "tpm-slots-exhausted";

// Codes of the TPM come with layer 0, or from a resource manager that passes them on or answers in its stead (tabrmd).
bool of_tpm(TSS2_RC rc) {
  const TSS2_RC layer = rc & TSS2_RC_LAYER_MASK;
  constexpr TSS2_RC first_tpm_code = 0x080;
  return layer == TSS2_TPM_RC_LAYER || layer == TSS2_RESMGR_TPM_RC_LAYER ||
         (layer == TSS2_RESMGR_RC_LAYER && (rc & 0xFFFFU) >= first_tpm_code);
}

// A TPM code without layer and without the number of the handle, session or parameter it is about (TPM 2.0 part
// 2, 6.6).
TPM2_RC base_code(TSS2_RC rc) {
  const TPM2_RC code = rc & 0xFFFU;
  constexpr TPM2_RC format_one = 0x080;
  return (code & format_one) != 0 ? code & 0x0BFU : code;
}

// Format-one codes about a handle: P clear and N between 1 and 7.
bool about_handle(TSS2_RC rc) {
  return (rc & 0x080U) != 0 && (rc & TPM2_RC_P) == 0 && (rc & TPM2_RC_N_MASK) != 0 && (rc & TPM2_RC_S) == 0;
}

struct Words {
  TPM2_RC code;
  Category category;
  std::string_view reason;
  std::string_view advice;
};

constexpr Category unavailable = Category::unavailable;

constexpr std::array words{
    Words{TPM2_RC_LOCKOUT, unavailable, "tpm-lockout",
          "the TPM is in dictionary-attack lockout: wait for its recovery time, or reset it as its owner with "
          "tpm2_dictionarylockout --clear-lockout"},
    Words{TPM2_RC_AUTH_FAIL, Category::forbidden, "tpm-auth-refused",
          "the authorization value is wrong: the auth file is not the one that was made with this key"},
    Words{
        TPM2_RC_BAD_AUTH, Category::forbidden, "tpm-auth-refused",
        "the authorization value is wrong: the auth file is not the one that was made with this key, or the hierarchy "
        "has a password. Owner hierarchy: let the TPM's owner place the SRK at 0x81000001; endorsement hierarchy: its "
        "password must be empty for enrollment"},
    Words{TPM2_RC_INTEGRITY, Category::invalid, "tpm-blob-refused",
          "the key file is corrupted or was made under another storage root key; restore the file, or initialise a new "
          "state directory and enroll again"},
    Words{TPM2_RC_OBJECT_MEMORY, unavailable, slots_exhausted,
          "no free object slot: other programs left objects loaded; use /dev/tpmrm0 or tpm2_flushcontext -t"},
    Words{TPM2_RC_OBJECT_HANDLES, unavailable, slots_exhausted, "no free object handle; use /dev/tpmrm0"},
    Words{TPM2_RC_SESSION_MEMORY, unavailable, slots_exhausted,
          "no free session slot: other programs left sessions loaded; use /dev/tpmrm0 or tpm2_flushcontext -l"},
    Words{TPM2_RC_SESSION_HANDLES, unavailable, slots_exhausted, "no free session handle; use /dev/tpmrm0"},
    Words{TPM2_RC_MEMORY, unavailable, "tpm-busy", "the TPM is out of working memory; try again"},
    Words{TPM2_RC_RETRY, unavailable, "tpm-busy", "the TPM is busy; try again"},
    Words{TPM2_RC_YIELDED, unavailable, "tpm-busy", "the TPM is busy; try again"},
    Words{TPM2_RC_TESTING, unavailable, "tpm-busy", "the TPM tests itself; try again"},
    Words{TPM2_RC_NV_RATE, unavailable, "tpm-busy", "the TPM limits the rate of its non-volatile writes; try again"},
    Words{TPM2_RC_NV_UNAVAILABLE, unavailable, "tpm-busy", "the TPM's non-volatile memory is not ready; try again"},
    Words{TPM2_RC_NV_SPACE, unavailable, "tpm-nv-full", "no room for another persistent object"},
    Words{TPM2_RC_CONTEXT_GAP, unavailable, state_lost,
          "a session that some program saved is too old: end that program, or restart the resource manager"},
    Words{TPM2_RC_HANDLE, unavailable, state_lost, "the object is not in the TPM any more: it was reset or cleared"},
    Words{TPM2_RC_FAILURE, Category::internal, "tpm-failure-mode",
          "the TPM is in failure mode: power-cycle the machine; if it stays, the TPM is broken"},
    Words{TPM2_RC_INITIALIZE, unavailable, "tpm-not-started",
          "the TPM was not started: firmware does it on a real machine; start swtpm with --flags startup-clear"},
    Words{TPM2_RC_HIERARCHY, Category::forbidden, "tpm-hierarchy-disabled",
          "the owner hierarchy is disabled: enable it in the firmware settings"},
    Words{TPM2_RC_DISABLED, Category::forbidden, "tpm-hierarchy-disabled",
          "the command is disabled: enable the TPM in the firmware settings"},
    Words{TPM2_RC_CURVE, Category::internal, "tpm-unsupported", "the TPM has no NIST P-256"},
    Words{TPM2_RC_SCHEME, Category::internal, "tpm-unsupported", "the TPM has no ECDSA with SHA-256"},
    Words{TPM2_RC_SYMMETRIC, Category::internal, "tpm-unsupported", "the TPM has no AES-128-CFB"},
    Words{TPM2_RC_COMMAND_CODE, Category::internal, "tpm-unsupported", "the TPM does not implement the command"},
};

Error with_code(Category category, std::string_view reason, TSS2_RC rc, std::string_view command,
                std::string_view advice) {
  return avseal::errors::make(category, reason,
                              fmt::format("{}: {} (0x{:X}, {})", command, advice, rc, Tss2_RC_Decode(rc)));
}

Error from_tpm_code(TSS2_RC rc, std::string_view command) {
  const TPM2_RC code = base_code(rc);
  const bool reference = code >= TPM2_RC_REFERENCE_H0 && code <= TPM2_RC_REFERENCE_S6;
  if (reference || (code == TPM2_RC_VALUE && about_handle(rc))) {
    return with_code(unavailable, state_lost, rc, command, "a handle or session is gone: the TPM was reset");
  }
  const auto* known = std::find_if(words.begin(), words.end(), [&](const Words& w) { return w.code == code; });
  if (known != words.end()) return with_code(known->category, known->reason, rc, command, known->advice);
  return with_code(Category::internal, "tpm-refused", rc, command, "the TPM refused the command");
}

}  // namespace

bool is_busy(TSS2_RC rc) {
  if (!of_tpm(rc)) return false;
  const auto* known = std::find_if(words.begin(), words.end(), [&](const Words& w) { return w.code == base_code(rc); });
  return known != words.end() && known->reason == "tpm-busy";
}

bool needs_new_context(const Error& error) {
  return error.reason == transport || error.reason == state_lost;
}

bool lacks_slots(const Error& error) {
  return error.reason == slots_exhausted;
}

namespace errors {

Error from_rc(TSS2_RC rc, std::string_view command) {
  if (of_tpm(rc)) return from_tpm_code(rc, command);
  switch (rc) {
    case TSS2_ESYS_RC_RSP_AUTH_FAILED:
      return with_code(unavailable, "tpm-response-forged", rc, command,
                       "the answer's HMAC is wrong: something between this program and the TPM alters messages");
    case TSS2_ESYS_RC_BAD_SEQUENCE:
      return with_code(unavailable, transport, rc, command, "the context is stuck after an earlier failure");
    default:
      break;
  }
  const TSS2_RC layer = rc & TSS2_RC_LAYER_MASK;
  const TSS2_RC base = rc & ~TSS2_RC_LAYER_MASK;
  // ESYS and SYS pass some of the TCTI's base codes on under their own layer.
  if (layer == TSS2_TCTI_RC_LAYER || base == TSS2_BASE_RC_IO_ERROR || base == TSS2_BASE_RC_NO_CONNECTION) {
    return with_code(unavailable, transport, rc, command,
                     "the TPM cannot be reached: check that the device or socket exists and that this user may use it "
                     "(group tss for /dev/tpmrm0)");
  }
  if (base == TSS2_BASE_RC_INSUFFICIENT_RESPONSE || base == TSS2_BASE_RC_MALFORMED_RESPONSE) {
    return with_code(unavailable, transport, rc, command, "the TPM's answer was cut off or malformed");
  }
  return with_code(Category::internal, "tpm-refused", rc, command, "the TPM software stack refused the command");
}

Error tcti_refused(std::string_view tcti) {
  return avseal::errors::make(
      Category::invalid, "tcti-refused",
      fmt::format("\"{}\" is not a TCTI this program loads: use device:/dev/tpmrm0 or tabrmd:..., or, for tests only, "
                  "swtpm:path=SOCKET or mssim:host=127.0.0.1,port=2321",
                  tcti));
}

Error queue_full() {
  return avseal::errors::make(unavailable, "tpm-queue-full",
                              "too many requests wait for the TPM; try again when some have ended");
}

Error timed_out(std::chrono::milliseconds limit) {
  return avseal::errors::make(unavailable, "tpm-timeout",
                              fmt::format("the TPM did not answer within {} ms", limit.count()));
}

}  // namespace errors

}  // namespace avseal::tpm
