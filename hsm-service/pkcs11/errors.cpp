#include "pkcs11/errors.hpp"

#include <array>
#include <charconv>
#include <utility>

namespace avseal::pkcs11 {

namespace {

struct Ckr {
  CK_RV rv;
  std::string_view name;
  std::string_view advice;
};

constexpr std::string_view reopen = "the session or the login is gone; a new session is needed";
constexpr std::string_view check_device = "check that the HSM is reachable and its token present";
constexpr std::string_view check_log = "look into the module's own log";

constexpr std::array table = {
    Ckr{CKR_OK, "CKR_OK", ""},
    Ckr{CKR_CANCEL, "CKR_CANCEL", check_log},
    Ckr{CKR_HOST_MEMORY, "CKR_HOST_MEMORY", "the host is out of memory"},
    Ckr{CKR_SLOT_ID_INVALID, "CKR_SLOT_ID_INVALID", check_device},
    Ckr{CKR_GENERAL_ERROR, "CKR_GENERAL_ERROR", check_log},
    Ckr{CKR_FUNCTION_FAILED, "CKR_FUNCTION_FAILED",
        "the HSM may be busy; try again, then look into the module's own log"},
    Ckr{CKR_ARGUMENTS_BAD, "CKR_ARGUMENTS_BAD", "the token may be out of sessions"},
    Ckr{CKR_CANT_LOCK, "CKR_CANT_LOCK", "the module cannot be used by several threads"},
    Ckr{CKR_ATTRIBUTE_READ_ONLY, "CKR_ATTRIBUTE_READ_ONLY", check_log},
    Ckr{CKR_ATTRIBUTE_SENSITIVE, "CKR_ATTRIBUTE_SENSITIVE", "the attribute cannot be read"},
    Ckr{CKR_ATTRIBUTE_TYPE_INVALID, "CKR_ATTRIBUTE_TYPE_INVALID", "the module does not know an attribute"},
    Ckr{CKR_ATTRIBUTE_VALUE_INVALID, "CKR_ATTRIBUTE_VALUE_INVALID", "the module does not take an attribute's value"},
    Ckr{CKR_DATA_INVALID, "CKR_DATA_INVALID", check_log},
    Ckr{CKR_DATA_LEN_RANGE, "CKR_DATA_LEN_RANGE", check_log},
    Ckr{CKR_DEVICE_ERROR, "CKR_DEVICE_ERROR", check_device},
    Ckr{CKR_DEVICE_MEMORY, "CKR_DEVICE_MEMORY", "the HSM is out of memory or sessions"},
    Ckr{CKR_DEVICE_REMOVED, "CKR_DEVICE_REMOVED", check_device},
    Ckr{CKR_ENCRYPTED_DATA_INVALID, "CKR_ENCRYPTED_DATA_INVALID", "the data was altered or belongs to another key"},
    Ckr{CKR_ENCRYPTED_DATA_LEN_RANGE, "CKR_ENCRYPTED_DATA_LEN_RANGE", "the data was altered"},
    Ckr{CKR_FUNCTION_CANCELED, "CKR_FUNCTION_CANCELED", check_log},
    Ckr{CKR_FUNCTION_NOT_SUPPORTED, "CKR_FUNCTION_NOT_SUPPORTED", "this HSM lacks a function that avseal needs"},
    Ckr{CKR_KEY_HANDLE_INVALID, "CKR_KEY_HANDLE_INVALID", reopen},
    Ckr{CKR_KEY_SIZE_RANGE, "CKR_KEY_SIZE_RANGE", "this HSM does not take keys of that size"},
    Ckr{CKR_KEY_TYPE_INCONSISTENT, "CKR_KEY_TYPE_INCONSISTENT", "the key is of another type; see `avseal key list`"},
    Ckr{CKR_KEY_FUNCTION_NOT_PERMITTED, "CKR_KEY_FUNCTION_NOT_PERMITTED",
        "the key's usage attributes forbid it; see `avseal key list`"},
    Ckr{CKR_MECHANISM_INVALID, "CKR_MECHANISM_INVALID", "this HSM lacks a mechanism that avseal needs"},
    Ckr{CKR_MECHANISM_PARAM_INVALID, "CKR_MECHANISM_PARAM_INVALID",
        "this HSM reads the mechanism's parameters differently"},
    Ckr{CKR_OBJECT_HANDLE_INVALID, "CKR_OBJECT_HANDLE_INVALID", reopen},
    Ckr{CKR_OPERATION_ACTIVE, "CKR_OPERATION_ACTIVE", reopen},
    Ckr{CKR_OPERATION_NOT_INITIALIZED, "CKR_OPERATION_NOT_INITIALIZED", reopen},
    Ckr{CKR_PIN_INCORRECT, "CKR_PIN_INCORRECT", "check the PIN before anybody tries again"},
    Ckr{CKR_PIN_INVALID, "CKR_PIN_INVALID", "the PIN has characters that the HSM does not take"},
    Ckr{CKR_PIN_LEN_RANGE, "CKR_PIN_LEN_RANGE", "the PIN is too short or too long for this HSM"},
    Ckr{CKR_PIN_EXPIRED, "CKR_PIN_EXPIRED", "set a new PIN"},
    Ckr{CKR_PIN_LOCKED, "CKR_PIN_LOCKED", "the security officer must set a new PIN"},
    Ckr{CKR_SESSION_CLOSED, "CKR_SESSION_CLOSED", reopen},
    Ckr{CKR_SESSION_COUNT, "CKR_SESSION_COUNT", "the token is out of sessions; configure fewer"},
    Ckr{CKR_SESSION_HANDLE_INVALID, "CKR_SESSION_HANDLE_INVALID", reopen},
    Ckr{CKR_SESSION_READ_ONLY, "CKR_SESSION_READ_ONLY", check_log},
    Ckr{CKR_SESSION_EXISTS, "CKR_SESSION_EXISTS", "another session is open on the token"},
    Ckr{CKR_TEMPLATE_INCOMPLETE, "CKR_TEMPLATE_INCOMPLETE", check_log},
    Ckr{CKR_TEMPLATE_INCONSISTENT, "CKR_TEMPLATE_INCONSISTENT",
        "this HSM does not allow these key attributes together"},
    Ckr{CKR_TOKEN_NOT_PRESENT, "CKR_TOKEN_NOT_PRESENT", check_device},
    Ckr{CKR_TOKEN_NOT_RECOGNIZED, "CKR_TOKEN_NOT_RECOGNIZED", check_device},
    Ckr{CKR_TOKEN_WRITE_PROTECTED, "CKR_TOKEN_WRITE_PROTECTED", "the token is read-only"},
    Ckr{CKR_USER_ALREADY_LOGGED_IN, "CKR_USER_ALREADY_LOGGED_IN", ""},
    Ckr{CKR_USER_NOT_LOGGED_IN, "CKR_USER_NOT_LOGGED_IN", reopen},
    Ckr{CKR_USER_PIN_NOT_INITIALIZED, "CKR_USER_PIN_NOT_INITIALIZED",
        "the token has no user PIN; see `avseal token init`"},
    Ckr{CKR_USER_TYPE_INVALID, "CKR_USER_TYPE_INVALID", check_log},
    Ckr{CKR_USER_ANOTHER_ALREADY_LOGGED_IN, "CKR_USER_ANOTHER_ALREADY_LOGGED_IN", "another user is logged in"},
    Ckr{CKR_RANDOM_NO_RNG, "CKR_RANDOM_NO_RNG", check_log},
    Ckr{CKR_CURVE_NOT_SUPPORTED, "CKR_CURVE_NOT_SUPPORTED", "use a key on P-256"},
    Ckr{CKR_BUFFER_TOO_SMALL, "CKR_BUFFER_TOO_SMALL", "the HSM gave more bytes than this operation has"},
    Ckr{CKR_CRYPTOKI_NOT_INITIALIZED, "CKR_CRYPTOKI_NOT_INITIALIZED", "the module was finalised under us"},
    Ckr{CKR_CRYPTOKI_ALREADY_INITIALIZED, "CKR_CRYPTOKI_ALREADY_INITIALIZED", ""},
};

const Ckr* find(CK_RV rv) {
  for (const Ckr& entry : table) {
    if (entry.rv == rv) return &entry;
  }
  return nullptr;
}

// One code may have several causes: a private object's handle also goes when the login does.
std::string_view reason_of(CK_RV rv) {
  switch (rv) {
    case CKR_SESSION_HANDLE_INVALID:
    case CKR_SESSION_CLOSED:
    case CKR_USER_NOT_LOGGED_IN:
    case CKR_OBJECT_HANDLE_INVALID:
    case CKR_KEY_HANDLE_INVALID:
    case CKR_OPERATION_ACTIVE:
    case CKR_OPERATION_NOT_INITIALIZED:
      return hsm_session_lost;
    case CKR_DEVICE_ERROR:
    case CKR_DEVICE_REMOVED:
    case CKR_TOKEN_NOT_PRESENT:
    case CKR_TOKEN_NOT_RECOGNIZED:
    case CKR_SLOT_ID_INVALID:
    case CKR_CRYPTOKI_NOT_INITIALIZED:
      return hsm_device_lost;
    default:
      return hsm_error;
  }
}

// Error::param carries the code.
constexpr std::string_view ckr_prefix = "ckr ";

Error failed_with(CK_RV rv, Error error) {
  error.param = std::string(ckr_prefix) + std::to_string(rv);
  return error;
}

std::string quoted(std::string_view text) {
  return "\"" + std::string(text) + "\"";
}

}  // namespace

std::string_view ckr_name(CK_RV rv) {
  if (const Ckr* known = find(rv)) return known->name;
  return (rv & CKR_VENDOR_DEFINED) != 0 ? "CKR_VENDOR_DEFINED" : "CKR_UNKNOWN";
}

std::optional<CK_RV> parse_ckr(std::string_view text) {
  for (const Ckr& entry : table) {
    if (entry.name == text) return entry.rv;
  }
  if (!text.starts_with("0x")) return std::nullopt;
  text.remove_prefix(2);
  std::uint32_t rv = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), rv, 16);
  if (failed != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return rv;
}

CK_RV ckr_of(const Error& error) {
  CK_RV rv = CKR_OK;
  if (!error.param.starts_with(ckr_prefix)) return rv;
  std::from_chars(error.param.data() + ckr_prefix.size(), error.param.data() + error.param.size(), rv);
  return rv;
}

bool is_session_limit(const Error& error) {
  const CK_RV rv = ckr_of(error);
  return rv == CKR_SESSION_COUNT || rv == CKR_ARGUMENTS_BAD || rv == CKR_HOST_MEMORY || rv == CKR_DEVICE_MEMORY;
}

namespace errors {

using avseal::errors::make;

Error call_failed(std::string_view function, CK_RV rv) {
  const Ckr* known = find(rv);
  std::string detail = std::string(function) + " failed with " + std::string(ckr_name(rv));
  if (known == nullptr) detail += " (" + std::to_string(rv) + ")";
  const std::string_view advice = known == nullptr ? check_log : known->advice;
  if (!advice.empty()) detail.append("; ").append(advice);
  return failed_with(rv, make(Category::unavailable, reason_of(rv), std::move(detail)));
}

Error uri_invalid(std::string_view uri, std::string_view what) {
  return make(Category::invalid, "uri-invalid", "PKCS#11 URI " + quoted(uri) + ": " + std::string(what));
}

Error module_unusable(const std::filesystem::path& file, std::string_view why) {
  return make(Category::internal, "module-unusable",
              "cannot load the PKCS#11 module " + file.string() + ": " + std::string(why));
}

Error token_not_present(std::string_view wanted, std::string_view present) {
  return make(Category::unavailable, "token-not-present",
              "no token matches " + quoted(wanted) + "; the module shows " +
                  (present.empty() ? "no initialised token" : std::string(present)));
}

Error token_ambiguous(std::string_view wanted, std::size_t count) {
  return make(Category::conflict, "token-ambiguous",
              std::to_string(count) + " tokens match " + quoted(wanted) + ", expected one; add serial= to the URI");
}

Error token_exists(std::string_view label) {
  return make(Category::conflict, "token-exists",
              "a token labelled " + quoted(label) + " is there already; choose another label");
}

Error key_not_found(std::string_view wanted) {
  return make(Category::not_found, "key-not-found",
              "no key matches " + quoted(wanted) + "; see `avseal key list` for those on the token");
}

Error key_ambiguous(std::string_view wanted, std::size_t count) {
  return make(Category::conflict, "key-ambiguous",
              std::to_string(count) + " keys match " + quoted(wanted) +
                  ", expected one; add id= to the URI or delete the others");
}

Error key_exists(std::string_view label) {
  return make(Category::conflict, "key-exists",
              "an object labelled " + quoted(label) + " is on the token already; choose another label");
}

Error key_unsuitable(std::string_view wanted, std::string_view why) {
  return make(Category::invalid, "key-unsuitable", "key " + quoted(wanted) + ": " + std::string(why));
}

Error pin_incorrect(std::string_view token) {
  return failed_with(CKR_PIN_INCORRECT,
                     make(Category::unauthenticated, "pin-incorrect",
                          "token " + quoted(token) +
                              " refused the PIN (C_Login: CKR_PIN_INCORRECT); correct it, then spend one attempt with "
                              "`avseal token login --once`"));
}

Error pin_guarded(std::string_view token, std::string_view flag) {
  return make(
      Category::unauthenticated, "pin-guarded",
      "token " + quoted(token) + " reports " + std::string(flag) +
          ", so nobody logs in by itself; check the PIN, then spend one attempt with `avseal token login --once`");
}

Error pin_unusable(std::string_view token, CK_RV rv) {
  return failed_with(rv, make(Category::unauthenticated, "pin-unusable",
                              "token " + quoted(token) + ": " + call_failed("C_Login", rv).detail));
}

Error pin_unreadable(std::string_view source, std::string_view why) {
  return make(Category::unauthenticated, "pin-unreadable",
              "no PIN from " + std::string(source) + ": " + std::string(why));
}

Error wrapped_invalid(std::string_view why) {
  return make(Category::invalid, "wrapped-invalid", "the wrapped key is not usable: " + std::string(why));
}

}  // namespace errors

}  // namespace avseal::pkcs11
