// Named errors of the PKCS#11 layer. Those of a failed call name the function, the CKR and what to do.
#pragma once

#include <filesystem>

#include <p11-kit/pkcs11.h>

#include "tokens/result.hpp"

namespace avseal::pkcs11 {

std::string_view ckr_name(CK_RV rv);  // "CKR_DEVICE_ERROR"; "CKR_VENDOR_DEFINED" or "CKR_UNKNOWN" for others

// Reasons of call_failed, by what the caller has to do.
inline constexpr std::string_view hsm_session_lost =
    "hsm-session-lost";  // drop the session, open another, find keys again
inline constexpr std::string_view hsm_device_lost = "hsm-device-lost";  // the token or the module is gone
inline constexpr std::string_view hsm_error = "hsm-error";              // anything else

// The code of the call that failed, 0 if no call did.
CK_RV ckr_of(const Error& error);

namespace errors {

Error call_failed(std::string_view function, CK_RV rv);

Error uri_invalid(std::string_view uri, std::string_view what);                  // "uri-invalid"
Error module_unusable(const std::filesystem::path& file, std::string_view why);  // "module-unusable"
Error token_not_present(std::string_view wanted, std::string_view present);      // "token-not-present"
Error token_ambiguous(std::string_view wanted, std::size_t count);               // "token-ambiguous"
Error token_exists(std::string_view label);                                      // "token-exists"
Error key_not_found(std::string_view wanted);                                    // "key-not-found"
Error key_ambiguous(std::string_view wanted, std::size_t count);                 // "key-ambiguous"
Error key_exists(std::string_view label);                                        // "key-exists"
Error key_unsuitable(std::string_view wanted, std::string_view why);             // "key-unsuitable"
Error pin_incorrect(std::string_view token);                                     // "pin-incorrect"
Error pin_guarded(std::string_view token, std::string_view flag);                // "pin-guarded"
Error pin_unreadable(std::string_view source, std::string_view why);             // "pin-unreadable"
Error wrapped_invalid(std::string_view why);                                     // "wrapped-invalid"

}  // namespace errors

}  // namespace avseal::pkcs11
