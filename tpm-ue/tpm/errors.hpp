#pragma once

#include <tss2/tss2_common.h>

#include "structures/errors.hpp"
#include "tokens/result.hpp"

namespace avseal::tpm::errors {

// A response code of any layer of the TPM software stack, while doing `command`, as a named error with what to do.
//   "tpm-transport"      the TPM cannot be reached; the context must be rebuilt
//   "tpm-state-lost"     handles or sessions are gone (the TPM was reset); the context must be rebuilt
//   "tpm-busy"           the TPM asks to try again later
//   "tpm-slots-exhausted", "tpm-nv-full", "tpm-lockout", "tpm-auth-refused", "tpm-blob-refused", "tpm-failure-mode",
//   "tpm-not-started", "tpm-hierarchy-disabled", "tpm-unsupported", "tpm-response-forged", "tpm-refused"
Error from_rc(TSS2_RC rc, std::string_view command);

Error tcti_refused(std::string_view tcti);
Error queue_full();
Error timed_out(std::chrono::milliseconds limit);

}  // namespace avseal::tpm::errors

namespace avseal::tpm {

bool is_busy(TSS2_RC rc);                    // resubmit after a pause
bool needs_new_context(const Error& error);  // "tpm-transport" and "tpm-state-lost"
bool lacks_slots(const Error& error);        // "tpm-slots-exhausted": others may free some

}  // namespace avseal::tpm
