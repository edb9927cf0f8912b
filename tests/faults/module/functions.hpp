// The functions of PKCS#11 2.40, one line each, from which the forwarding table, the names in rules and the facts are
// made.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

#include <p11-kit/pkcs11.h>

namespace avseal::faults {

// What a function's first argument names.
enum class Subject { none, slot, session };

// X(name, subject, arguments that are object handles, arguments that point to object handles): the last two are sums of
// at(i), counted from 0.
constexpr unsigned at(unsigned i) {
  return 1U << i;
}
#define AVSEAL_PKCS11_FUNCTIONS(X)                  \
  X(C_Initialize, none, 0, 0)                       \
  X(C_Finalize, none, 0, 0)                         \
  X(C_GetInfo, none, 0, 0)                          \
  X(C_GetSlotList, none, 0, 0)                      \
  X(C_GetSlotInfo, slot, 0, 0)                      \
  X(C_GetTokenInfo, slot, 0, 0)                     \
  X(C_GetMechanismList, slot, 0, 0)                 \
  X(C_GetMechanismInfo, slot, 0, 0)                 \
  X(C_InitToken, slot, 0, 0)                        \
  X(C_InitPIN, session, 0, 0)                       \
  X(C_SetPIN, session, 0, 0)                        \
  X(C_OpenSession, slot, 0, 0)                      \
  X(C_CloseSession, session, 0, 0)                  \
  X(C_CloseAllSessions, slot, 0, 0)                 \
  X(C_GetSessionInfo, session, 0, 0)                \
  X(C_GetOperationState, session, 0, 0)             \
  X(C_SetOperationState, session, at(3) + at(4), 0) \
  X(C_Login, session, 0, 0)                         \
  X(C_Logout, session, 0, 0)                        \
  X(C_CreateObject, session, 0, at(3))              \
  X(C_CopyObject, session, at(1), at(4))            \
  X(C_DestroyObject, session, at(1), 0)             \
  X(C_GetObjectSize, session, at(1), 0)             \
  X(C_GetAttributeValue, session, at(1), 0)         \
  X(C_SetAttributeValue, session, at(1), 0)         \
  X(C_FindObjectsInit, session, 0, 0)               \
  X(C_FindObjects, session, 0, 0)                   \
  X(C_FindObjectsFinal, session, 0, 0)              \
  X(C_EncryptInit, session, at(2), 0)               \
  X(C_Encrypt, session, 0, 0)                       \
  X(C_EncryptUpdate, session, 0, 0)                 \
  X(C_EncryptFinal, session, 0, 0)                  \
  X(C_DecryptInit, session, at(2), 0)               \
  X(C_Decrypt, session, 0, 0)                       \
  X(C_DecryptUpdate, session, 0, 0)                 \
  X(C_DecryptFinal, session, 0, 0)                  \
  X(C_DigestInit, session, 0, 0)                    \
  X(C_Digest, session, 0, 0)                        \
  X(C_DigestUpdate, session, 0, 0)                  \
  X(C_DigestKey, session, at(1), 0)                 \
  X(C_DigestFinal, session, 0, 0)                   \
  X(C_SignInit, session, at(2), 0)                  \
  X(C_Sign, session, 0, 0)                          \
  X(C_SignUpdate, session, 0, 0)                    \
  X(C_SignFinal, session, 0, 0)                     \
  X(C_SignRecoverInit, session, at(2), 0)           \
  X(C_SignRecover, session, 0, 0)                   \
  X(C_VerifyInit, session, at(2), 0)                \
  X(C_Verify, session, 0, 0)                        \
  X(C_VerifyUpdate, session, 0, 0)                  \
  X(C_VerifyFinal, session, 0, 0)                   \
  X(C_VerifyRecoverInit, session, at(2), 0)         \
  X(C_VerifyRecover, session, 0, 0)                 \
  X(C_DigestEncryptUpdate, session, 0, 0)           \
  X(C_DecryptDigestUpdate, session, 0, 0)           \
  X(C_SignEncryptUpdate, session, 0, 0)             \
  X(C_DecryptVerifyUpdate, session, 0, 0)           \
  X(C_GenerateKey, session, 0, at(4))               \
  X(C_GenerateKeyPair, session, 0, at(6) + at(7))   \
  X(C_WrapKey, session, at(2) + at(3), 0)           \
  X(C_UnwrapKey, session, at(2), at(7))             \
  X(C_DeriveKey, session, at(2), at(5))             \
  X(C_SeedRandom, session, 0, 0)                    \
  X(C_GenerateRandom, session, 0, 0)                \
  X(C_GetFunctionStatus, session, 0, 0)             \
  X(C_CancelFunction, session, 0, 0)                \
  X(C_WaitForSlotEvent, none, 0, 0)

enum class Function : unsigned {
#define AVSEAL_NAME(name, subject, in, out) name,
  AVSEAL_PKCS11_FUNCTIONS(AVSEAL_NAME)
#undef AVSEAL_NAME
      count
};
inline constexpr std::size_t function_count = static_cast<std::size_t>(Function::count);

std::optional<Function> parse_function(std::string_view name);

// A CKR_ or CKM_ name of PKCS#11 2.40, or a number (decimal or 0x...).
std::optional<CK_RV> parse_code(std::string_view text);
std::optional<CK_MECHANISM_TYPE> parse_mechanism(std::string_view text);

}  // namespace avseal::faults
