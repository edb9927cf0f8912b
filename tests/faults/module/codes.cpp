#include <array>
#include <charconv>

#include "tests/faults/module/functions.hpp"

namespace avseal::faults {

namespace {

struct Named {
  std::string_view name;
  unsigned long value;
};

constexpr Named named(std::string_view name, unsigned long value) {
  return {name, value};
}

#define AVSEAL_NAMED(name) named(#name, name)
constexpr std::array codes = {AVSEAL_NAMED(CKR_OK),
                              AVSEAL_NAMED(CKR_CANCEL),
                              AVSEAL_NAMED(CKR_HOST_MEMORY),
                              AVSEAL_NAMED(CKR_SLOT_ID_INVALID),
                              AVSEAL_NAMED(CKR_GENERAL_ERROR),
                              AVSEAL_NAMED(CKR_FUNCTION_FAILED),
                              AVSEAL_NAMED(CKR_ARGUMENTS_BAD),
                              AVSEAL_NAMED(CKR_NO_EVENT),
                              AVSEAL_NAMED(CKR_NEED_TO_CREATE_THREADS),
                              AVSEAL_NAMED(CKR_CANT_LOCK),
                              AVSEAL_NAMED(CKR_ATTRIBUTE_READ_ONLY),
                              AVSEAL_NAMED(CKR_ATTRIBUTE_SENSITIVE),
                              AVSEAL_NAMED(CKR_ATTRIBUTE_TYPE_INVALID),
                              AVSEAL_NAMED(CKR_ATTRIBUTE_VALUE_INVALID),
                              AVSEAL_NAMED(CKR_ACTION_PROHIBITED),
                              AVSEAL_NAMED(CKR_DATA_INVALID),
                              AVSEAL_NAMED(CKR_DATA_LEN_RANGE),
                              AVSEAL_NAMED(CKR_DEVICE_ERROR),
                              AVSEAL_NAMED(CKR_DEVICE_MEMORY),
                              AVSEAL_NAMED(CKR_DEVICE_REMOVED),
                              AVSEAL_NAMED(CKR_ENCRYPTED_DATA_INVALID),
                              AVSEAL_NAMED(CKR_ENCRYPTED_DATA_LEN_RANGE),
                              AVSEAL_NAMED(CKR_FUNCTION_CANCELED),
                              AVSEAL_NAMED(CKR_FUNCTION_NOT_PARALLEL),
                              AVSEAL_NAMED(CKR_FUNCTION_NOT_SUPPORTED),
                              AVSEAL_NAMED(CKR_KEY_HANDLE_INVALID),
                              AVSEAL_NAMED(CKR_KEY_SIZE_RANGE),
                              AVSEAL_NAMED(CKR_KEY_TYPE_INCONSISTENT),
                              AVSEAL_NAMED(CKR_KEY_NOT_NEEDED),
                              AVSEAL_NAMED(CKR_KEY_CHANGED),
                              AVSEAL_NAMED(CKR_KEY_NEEDED),
                              AVSEAL_NAMED(CKR_KEY_INDIGESTIBLE),
                              AVSEAL_NAMED(CKR_KEY_FUNCTION_NOT_PERMITTED),
                              AVSEAL_NAMED(CKR_KEY_NOT_WRAPPABLE),
                              AVSEAL_NAMED(CKR_KEY_UNEXTRACTABLE),
                              AVSEAL_NAMED(CKR_MECHANISM_INVALID),
                              AVSEAL_NAMED(CKR_MECHANISM_PARAM_INVALID),
                              AVSEAL_NAMED(CKR_OBJECT_HANDLE_INVALID),
                              AVSEAL_NAMED(CKR_OPERATION_ACTIVE),
                              AVSEAL_NAMED(CKR_OPERATION_NOT_INITIALIZED),
                              AVSEAL_NAMED(CKR_PIN_INCORRECT),
                              AVSEAL_NAMED(CKR_PIN_INVALID),
                              AVSEAL_NAMED(CKR_PIN_LEN_RANGE),
                              AVSEAL_NAMED(CKR_PIN_EXPIRED),
                              AVSEAL_NAMED(CKR_PIN_LOCKED),
                              AVSEAL_NAMED(CKR_SESSION_CLOSED),
                              AVSEAL_NAMED(CKR_SESSION_COUNT),
                              AVSEAL_NAMED(CKR_SESSION_HANDLE_INVALID),
                              AVSEAL_NAMED(CKR_SESSION_PARALLEL_NOT_SUPPORTED),
                              AVSEAL_NAMED(CKR_SESSION_READ_ONLY),
                              AVSEAL_NAMED(CKR_SESSION_EXISTS),
                              AVSEAL_NAMED(CKR_SESSION_READ_ONLY_EXISTS),
                              AVSEAL_NAMED(CKR_SESSION_READ_WRITE_SO_EXISTS),
                              AVSEAL_NAMED(CKR_SIGNATURE_INVALID),
                              AVSEAL_NAMED(CKR_SIGNATURE_LEN_RANGE),
                              AVSEAL_NAMED(CKR_TEMPLATE_INCOMPLETE),
                              AVSEAL_NAMED(CKR_TEMPLATE_INCONSISTENT),
                              AVSEAL_NAMED(CKR_TOKEN_NOT_PRESENT),
                              AVSEAL_NAMED(CKR_TOKEN_NOT_RECOGNIZED),
                              AVSEAL_NAMED(CKR_TOKEN_WRITE_PROTECTED),
                              AVSEAL_NAMED(CKR_UNWRAPPING_KEY_SIZE_RANGE),
                              AVSEAL_NAMED(CKR_UNWRAPPING_KEY_TYPE_INCONSISTENT),
                              AVSEAL_NAMED(CKR_USER_ALREADY_LOGGED_IN),
                              AVSEAL_NAMED(CKR_USER_NOT_LOGGED_IN),
                              AVSEAL_NAMED(CKR_USER_PIN_NOT_INITIALIZED),
                              AVSEAL_NAMED(CKR_USER_TYPE_INVALID),
                              AVSEAL_NAMED(CKR_USER_ANOTHER_ALREADY_LOGGED_IN),
                              AVSEAL_NAMED(CKR_USER_TOO_MANY_TYPES),
                              AVSEAL_NAMED(CKR_WRAPPED_KEY_INVALID),
                              AVSEAL_NAMED(CKR_WRAPPED_KEY_LEN_RANGE),
                              AVSEAL_NAMED(CKR_WRAPPING_KEY_HANDLE_INVALID),
                              AVSEAL_NAMED(CKR_WRAPPING_KEY_SIZE_RANGE),
                              AVSEAL_NAMED(CKR_WRAPPING_KEY_TYPE_INCONSISTENT),
                              AVSEAL_NAMED(CKR_RANDOM_SEED_NOT_SUPPORTED),
                              AVSEAL_NAMED(CKR_RANDOM_NO_RNG),
                              AVSEAL_NAMED(CKR_DOMAIN_PARAMS_INVALID),
                              AVSEAL_NAMED(CKR_CURVE_NOT_SUPPORTED),
                              AVSEAL_NAMED(CKR_BUFFER_TOO_SMALL),
                              AVSEAL_NAMED(CKR_SAVED_STATE_INVALID),
                              AVSEAL_NAMED(CKR_INFORMATION_SENSITIVE),
                              AVSEAL_NAMED(CKR_STATE_UNSAVEABLE),
                              AVSEAL_NAMED(CKR_CRYPTOKI_NOT_INITIALIZED),
                              AVSEAL_NAMED(CKR_CRYPTOKI_ALREADY_INITIALIZED),
                              AVSEAL_NAMED(CKR_MUTEX_BAD),
                              AVSEAL_NAMED(CKR_MUTEX_NOT_LOCKED),
                              AVSEAL_NAMED(CKR_NEW_PIN_MODE),
                              AVSEAL_NAMED(CKR_NEXT_OTP),
                              AVSEAL_NAMED(CKR_EXCEEDED_MAX_ITERATIONS),
                              AVSEAL_NAMED(CKR_FIPS_SELF_TEST_FAILED),
                              AVSEAL_NAMED(CKR_LIBRARY_LOAD_FAILED),
                              AVSEAL_NAMED(CKR_PIN_TOO_WEAK),
                              AVSEAL_NAMED(CKR_PUBLIC_KEY_INVALID),
                              AVSEAL_NAMED(CKR_FUNCTION_REJECTED)};
constexpr std::array mechanisms = {AVSEAL_NAMED(CKM_ECDSA),
                                   AVSEAL_NAMED(CKM_ECDSA_SHA1),
                                   AVSEAL_NAMED(CKM_ECDSA_SHA224),
                                   AVSEAL_NAMED(CKM_ECDSA_SHA256),
                                   AVSEAL_NAMED(CKM_ECDSA_SHA384),
                                   AVSEAL_NAMED(CKM_ECDSA_SHA512),
                                   AVSEAL_NAMED(CKM_EC_KEY_PAIR_GEN),
                                   AVSEAL_NAMED(CKM_ECDH1_DERIVE),
                                   AVSEAL_NAMED(CKM_AES_KEY_GEN),
                                   AVSEAL_NAMED(CKM_AES_ECB),
                                   AVSEAL_NAMED(CKM_AES_CBC),
                                   AVSEAL_NAMED(CKM_AES_CBC_PAD),
                                   AVSEAL_NAMED(CKM_AES_CTR),
                                   AVSEAL_NAMED(CKM_AES_GCM),
                                   AVSEAL_NAMED(CKM_AES_CCM),
                                   AVSEAL_NAMED(CKM_AES_CMAC),
                                   AVSEAL_NAMED(CKM_AES_KEY_WRAP),
                                   AVSEAL_NAMED(CKM_AES_KEY_WRAP_PAD),
                                   AVSEAL_NAMED(CKM_SHA256),
                                   AVSEAL_NAMED(CKM_SHA384),
                                   AVSEAL_NAMED(CKM_SHA512),
                                   AVSEAL_NAMED(CKM_SHA256_HMAC),
                                   AVSEAL_NAMED(CKM_SHA384_HMAC),
                                   AVSEAL_NAMED(CKM_SHA512_HMAC),
                                   AVSEAL_NAMED(CKM_GENERIC_SECRET_KEY_GEN),
                                   AVSEAL_NAMED(CKM_RSA_PKCS),
                                   AVSEAL_NAMED(CKM_RSA_PKCS_PSS),
                                   AVSEAL_NAMED(CKM_RSA_PKCS_KEY_PAIR_GEN)};
#undef AVSEAL_NAMED

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
