#include <array>
#include <charconv>

#include "tests/faults/module/functions.hpp"

namespace avseal::faults {

namespace {

#define AVSEAL_CODES(X)                                                                                                \
  X(CKR_OK)                                                                                                            \
  X(CKR_CANCEL)                                                                                                        \
  X(CKR_HOST_MEMORY)                                                                                                   \
  X(CKR_SLOT_ID_INVALID) X(CKR_GENERAL_ERROR) X(CKR_FUNCTION_FAILED) X(CKR_ARGUMENTS_BAD) X(CKR_NO_EVENT) X(           \
      CKR_NEED_TO_CREATE_THREADS) X(CKR_CANT_LOCK) X(CKR_ATTRIBUTE_READ_ONLY) X(CKR_ATTRIBUTE_SENSITIVE)               \
      X(CKR_ATTRIBUTE_TYPE_INVALID) X(CKR_ATTRIBUTE_VALUE_INVALID) X(CKR_ACTION_PROHIBITED) X(CKR_DATA_INVALID) X(     \
          CKR_DATA_LEN_RANGE) X(CKR_DEVICE_ERROR) X(CKR_DEVICE_MEMORY) X(CKR_DEVICE_REMOVED)                           \
          X(CKR_ENCRYPTED_DATA_INVALID) X(CKR_ENCRYPTED_DATA_LEN_RANGE) X(CKR_FUNCTION_CANCELED) X(                    \
              CKR_FUNCTION_NOT_PARALLEL) X(CKR_FUNCTION_NOT_SUPPORTED) X(CKR_KEY_HANDLE_INVALID) X(CKR_KEY_SIZE_RANGE) \
              X(CKR_KEY_TYPE_INCONSISTENT) X(CKR_KEY_NOT_NEEDED) X(CKR_KEY_CHANGED) X(CKR_KEY_NEEDED)                  \
                  X(CKR_KEY_INDIGESTIBLE) X(CKR_KEY_FUNCTION_NOT_PERMITTED) X(CKR_KEY_NOT_WRAPPABLE)                   \
                      X(CKR_KEY_UNEXTRACTABLE) X(CKR_MECHANISM_INVALID) X(CKR_MECHANISM_PARAM_INVALID) X(              \
                          CKR_OBJECT_HANDLE_INVALID) X(CKR_OPERATION_ACTIVE) X(CKR_OPERATION_NOT_INITIALIZED)          \
                          X(CKR_PIN_INCORRECT) X(CKR_PIN_INVALID) X(CKR_PIN_LEN_RANGE) X(CKR_PIN_EXPIRED) X(           \
                              CKR_PIN_LOCKED) X(CKR_SESSION_CLOSED) X(CKR_SESSION_COUNT) X(CKR_SESSION_HANDLE_INVALID) \
                              X(CKR_SESSION_PARALLEL_NOT_SUPPORTED) X(CKR_SESSION_READ_ONLY) X(CKR_SESSION_EXISTS) X(  \
                                  CKR_SESSION_READ_ONLY_EXISTS) X(CKR_SESSION_READ_WRITE_SO_EXISTS)                    \
                                  X(CKR_SIGNATURE_INVALID) X(CKR_SIGNATURE_LEN_RANGE) X(CKR_TEMPLATE_INCOMPLETE) X(    \
                                      CKR_TEMPLATE_INCONSISTENT) X(CKR_TOKEN_NOT_PRESENT) X(CKR_TOKEN_NOT_RECOGNIZED)  \
                                      X(CKR_TOKEN_WRITE_PROTECTED) X(CKR_UNWRAPPING_KEY_SIZE_RANGE) X(                 \
                                          CKR_UNWRAPPING_KEY_TYPE_INCONSISTENT) X(CKR_USER_ALREADY_LOGGED_IN)          \
                                          X(CKR_USER_NOT_LOGGED_IN) X(CKR_USER_PIN_NOT_INITIALIZED) X(                 \
                                              CKR_USER_TYPE_INVALID) X(CKR_USER_ANOTHER_ALREADY_LOGGED_IN)             \
                                              X(CKR_USER_TOO_MANY_TYPES) X(CKR_WRAPPED_KEY_INVALID) X(                 \
                                                  CKR_WRAPPED_KEY_LEN_RANGE) X(CKR_WRAPPING_KEY_HANDLE_INVALID)        \
                                                  X(CKR_WRAPPING_KEY_SIZE_RANGE) X(CKR_WRAPPING_KEY_TYPE_INCONSISTENT) \
                                                      X(CKR_RANDOM_SEED_NOT_SUPPORTED) X(CKR_RANDOM_NO_RNG)            \
                                                          X(CKR_DOMAIN_PARAMS_INVALID) X(CKR_CURVE_NOT_SUPPORTED) X(   \
                                                              CKR_BUFFER_TOO_SMALL) X(CKR_SAVED_STATE_INVALID)         \
                                                              X(CKR_INFORMATION_SENSITIVE) X(CKR_STATE_UNSAVEABLE) X(  \
                                                                  CKR_CRYPTOKI_NOT_INITIALIZED)                        \
                                                                  X(CKR_CRYPTOKI_ALREADY_INITIALIZED) X(CKR_MUTEX_BAD) \
                                                                      X(CKR_MUTEX_NOT_LOCKED) X(CKR_NEW_PIN_MODE) X(   \
                                                                          CKR_NEXT_OTP) X(CKR_EXCEEDED_MAX_ITERATIONS) \
                                                                          X(CKR_FIPS_SELF_TEST_FAILED)                 \
                                                                              X(CKR_LIBRARY_LOAD_FAILED)               \
                                                                                  X(CKR_PIN_TOO_WEAK)                  \
                                                                                      X(CKR_PUBLIC_KEY_INVALID)        \
                                                                                          X(CKR_FUNCTION_REJECTED)
#define AVSEAL_MECHANISMS(X)                                                                                           \
  X(CKM_ECDSA)                                                                                                         \
  X(CKM_ECDSA_SHA1)                                                                                                    \
  X(CKM_ECDSA_SHA224)                                                                                                  \
  X(CKM_ECDSA_SHA256) X(CKM_ECDSA_SHA384) X(CKM_ECDSA_SHA512) X(CKM_EC_KEY_PAIR_GEN) X(CKM_ECDH1_DERIVE)               \
      X(CKM_AES_KEY_GEN) X(CKM_AES_ECB) X(CKM_AES_CBC) X(CKM_AES_CBC_PAD) X(CKM_AES_CTR) X(CKM_AES_GCM) X(CKM_AES_CCM) \
          X(CKM_AES_CMAC) X(CKM_AES_KEY_WRAP) X(CKM_AES_KEY_WRAP_PAD) X(CKM_SHA256) X(CKM_SHA384) X(CKM_SHA512)        \
              X(CKM_SHA256_HMAC) X(CKM_SHA384_HMAC) X(CKM_SHA512_HMAC) X(CKM_GENERIC_SECRET_KEY_GEN) X(CKM_RSA_PKCS)   \
                  X(CKM_RSA_PKCS_PSS) X(CKM_RSA_PKCS_KEY_PAIR_GEN)

struct Named {
  std::string_view name;
  unsigned long value;
};

#define AVSEAL_ENTRY(name) Named{#name, name},
constexpr std::array codes = {AVSEAL_CODES(AVSEAL_ENTRY)};
constexpr std::array mechanisms = {AVSEAL_MECHANISMS(AVSEAL_ENTRY)};
#undef AVSEAL_ENTRY

#define AVSEAL_NAME(name, subject, in, out) std::string_view{#name},
constexpr std::array<std::string_view, function_count> functions = {AVSEAL_PKCS11_FUNCTIONS(AVSEAL_NAME)};
#undef AVSEAL_NAME

template <class Table>
std::optional<unsigned long> parse(const Table& table, std::string_view text) {
  for (const Named& entry : table) {
    if (entry.name == text) return entry.value;
  }
  const bool hexadecimal = text.starts_with("0x");
  if (hexadecimal) text.remove_prefix(2);
  unsigned long value = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value, hexadecimal ? 16 : 10);
  if (failed != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

std::optional<Function> parse_function(std::string_view name) {
  for (std::size_t i = 0; i < functions.size(); ++i) {
    if (functions[i] == name) return static_cast<Function>(i);
  }
  return std::nullopt;
}

std::optional<CK_RV> parse_code(std::string_view text) {
  return parse(codes, text);
}

std::optional<CK_MECHANISM_TYPE> parse_mechanism(std::string_view text) {
  return parse(mechanisms, text);
}

}  // namespace avseal::faults
