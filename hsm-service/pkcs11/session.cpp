#include "pkcs11/session.hpp"

#include <cstring>
#include <thread>
#include <utility>

#include "pkcs11/errors.hpp"

namespace avseal::pkcs11 {

namespace {

constexpr int login_attempts = 6;  // of a login that never reached the PIN
constexpr std::chrono::milliseconds first_pause{20};

bool says_nothing_about_pin(CK_RV rv) {
  return rv == CKR_GENERAL_ERROR || rv == CKR_USER_PIN_NOT_INITIALIZED;
}

Result<void> check_flags(const Token& token, Session::Guard guard) {
  AVSEAL_TRY(const CK_FLAGS flags, token.flags());
  if ((flags & CKF_USER_PIN_LOCKED) != 0) return errors::pin_guarded(token.label(), "CKF_USER_PIN_LOCKED");
  if (guard == Session::Guard::spend_one) return {};
  if ((flags & CKF_USER_PIN_FINAL_TRY) != 0) return errors::pin_guarded(token.label(), "CKF_USER_PIN_FINAL_TRY");
  if ((flags & CKF_USER_PIN_COUNT_LOW) != 0) return errors::pin_guarded(token.label(), "CKF_USER_PIN_COUNT_LOW");
  return {};
}

}  // namespace

Template& Template::add(CK_ATTRIBUTE_TYPE type, ByteView value) {
  Bytes& copy = values_.emplace_back(value.begin(), value.end());
  attributes_.push_back({type, copy.data(), copy.size()});
  return *this;
}

Template& Template::flag(CK_ATTRIBUTE_TYPE type, bool value) {
  const CK_BBOOL byte = value ? CK_TRUE : CK_FALSE;
  return add(type, ByteView(&byte, 1));
}

Template& Template::number(CK_ATTRIBUTE_TYPE type, CK_ULONG value) {
  return add(type, ByteView(reinterpret_cast<const std::uint8_t*>(&value), sizeof value));
}

Result<Session> Session::open(const Token& token, Access access) {
  const auto open_as = [&token](Access wanted, CK_SESSION_HANDLE& handle) {
    const CK_FLAGS flags = CKF_SERIAL_SESSION | (wanted == Access::read_write ? CKF_RW_SESSION : 0);
    return token.module()->api().C_OpenSession(token.slot(), flags, nullptr, nullptr, &handle);
  };
  CK_SESSION_HANDLE handle = CK_INVALID_HANDLE;
  const CK_RV rv = open_as(access, handle);
  if (rv == CKR_OK) return Session(token, handle, access);
  const Error error = errors::call_failed("C_OpenSession", rv);
  if (access == Access::read_write || error.reason == hsm_device_lost) return error;
  if (open_as(Access::read_write, handle) == CKR_OK) return Session(token, handle, Access::read_write);
  return error;
}

Session::Session(Session&& other) noexcept
    : token_(std::move(other.token_)),
      handle_(std::exchange(other.handle_, CK_INVALID_HANDLE)),
      access_(other.access_) {}

Session& Session::operator=(Session&& other) noexcept {
  std::swap(token_, other.token_);
  std::swap(handle_, other.handle_);
  std::swap(access_, other.access_);
  return *this;
}

Session::~Session() {
  if (handle_ != CK_INVALID_HANDLE) api().C_CloseSession(handle_);
}

Result<Session::Login> Session::login(const Secret& pin, Guard guard) {
  AVSEAL_CHECK(check_flags(token_, guard));
  Secret copy = Secret::copy_of(pin.reveal());  // C_Login takes a pointer to non-const
  auto* const bytes = const_cast<std::uint8_t*>(copy.reveal().data());
  CK_RV rv = CKR_GENERAL_ERROR;
  auto pause = first_pause;
  for (int attempt = 0; attempt < login_attempts; ++attempt) {
    if (attempt > 0) {
      std::this_thread::sleep_for(pause);
      pause *= 2;
    }
    rv = api().C_Login(handle_, CKU_USER, bytes, copy.size());
    if (!says_nothing_about_pin(rv)) break;
  }
  if (rv == CKR_OK) return Login::accepted;
  if (rv == CKR_USER_ALREADY_LOGGED_IN) return Login::was_logged_in;
  if (rv == CKR_PIN_INCORRECT) return errors::pin_incorrect(token_.label());
  if (rv == CKR_PIN_LOCKED) return errors::pin_guarded(token_.label(), "CKR_PIN_LOCKED");
  if (rv == CKR_PIN_EXPIRED || rv == CKR_PIN_INVALID || rv == CKR_PIN_LEN_RANGE) {
    return errors::pin_unusable(token_.label(), rv);
  }
  return errors::call_failed("C_Login", rv);
}

std::optional<bool> Session::logged_in() const {
  CK_SESSION_INFO info{};
  if (api().C_GetSessionInfo(handle_, &info) != CKR_OK) return std::nullopt;
  return info.state == CKS_RO_USER_FUNCTIONS || info.state == CKS_RW_USER_FUNCTIONS;
}

Result<std::vector<CK_OBJECT_HANDLE>> Session::find(Template& wanted, std::size_t limit) {
  const std::span<CK_ATTRIBUTE> attributes = wanted.attributes();
  if (const CK_RV rv = api().C_FindObjectsInit(handle_, attributes.data(), attributes.size()); rv != CKR_OK) {
    return errors::call_failed("C_FindObjectsInit", rv);
  }
  std::vector<CK_OBJECT_HANDLE> found(limit);
  std::size_t size = 0;
  CK_RV rv = CKR_OK;
  while (size < limit) {
    CK_ULONG count = 0;
    rv = api().C_FindObjects(handle_, found.data() + size, limit - size, &count);
    if (rv != CKR_OK || count == 0) break;
    size += count;
  }
  const CK_RV final_rv = api().C_FindObjectsFinal(handle_);
  if (rv != CKR_OK) return errors::call_failed("C_FindObjects", rv);
  if (final_rv != CKR_OK) return errors::call_failed("C_FindObjectsFinal", final_rv);
  found.resize(size);
  return found;
}

Result<Bytes> Session::attribute(CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type) {
  CK_ATTRIBUTE query{type, nullptr, 0};
  CK_RV rv = api().C_GetAttributeValue(handle_, object, &query, 1);
  if (rv != CKR_OK) return errors::call_failed("C_GetAttributeValue", rv);
  if (query.ulValueLen == CK_UNAVAILABLE_INFORMATION || query.ulValueLen > 64 * 1024) {
    return errors::call_failed("C_GetAttributeValue", CKR_ATTRIBUTE_TYPE_INVALID);
  }
  Bytes value(query.ulValueLen);
  query.pValue = value.data();
  rv = api().C_GetAttributeValue(handle_, object, &query, 1);
  if (rv != CKR_OK) return errors::call_failed("C_GetAttributeValue", rv);
  value.resize(std::min<std::size_t>(value.size(), query.ulValueLen));
  return value;
}

Result<CK_ULONG> Session::number(CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type) {
  AVSEAL_TRY(const Bytes value, attribute(object, type));
  CK_ULONG number = 0;
  if (value.size() != sizeof number) return errors::call_failed("C_GetAttributeValue", CKR_ATTRIBUTE_VALUE_INVALID);
  std::memcpy(&number, value.data(), sizeof number);
  return number;
}

std::optional<bool> Session::flag(CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type) {
  const auto value = attribute(object, type);
  if (!value || value->size() != 1) return std::nullopt;
  return value->front() != CK_FALSE;
}

}  // namespace avseal::pkcs11
