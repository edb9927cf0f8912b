// Named errors of the PKCS#11 layer. Those of a failed call name the function, the CKR and what to do.
#pragma once

#include <filesystem>
#include <optional>

#include <p11-kit/pkcs11.h>

#include "tokens/result.hpp"

namespace avseal::pkcs11 {

std::string_view ckr_name(CK_RV rv);  // "CKR_DEVICE_ERROR"; "CKR_VENDOR_DEFINED" or "CKR_UNKNOWN" for others
std::optional<CK_RV> parse_ckr(std::string_view text);  // such a name, or a number like 0x80000001

// Reasons of call_failed, by what the caller has to do.
inline constexpr std::string_view hsm_session_lost =
    "hsm-session-lost";  // drop the session, open another, find keys again
inline constexpr std::string_view hsm_device_lost = "hsm-device-lost";  // the token or the module is gone
inline constexpr std::string_view hsm_bad_signature =
    "hsm-bad-signature";  // what the key gave is not what its public key says: its handle may be another's
inline constexpr std::string_view hsm_error = "hsm-error";  // anything else

// The code of the call that failed, 0 if no call did.
CK_RV ckr_of(const Error& error);

// What C_OpenSession gives when the token has no more sessions; modules differ.
bool is_session_limit(const Error& error);

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
Error pin_unusable(std::string_view token, CK_RV rv);                            // "pin-unusable"
Error pin_unreadable(std::string_view source, std::string_view why);             // "pin-unreadable"
Error wrapped_invalid(std::string_view why);                                     // "wrapped-invalid"

}  // namespace errors

}  // namespace avseal::pkcs11
