#pragma once

#include <deque>
#include <span>

#include "pkcs11/module.hpp"

namespace avseal::pkcs11 {

// A CK_ATTRIBUTE array that owns its values.
class Template {
 public:
  Template& add(CK_ATTRIBUTE_TYPE type, ByteView value);
  Template& add(CK_ATTRIBUTE_TYPE type, std::string_view value) { return add(type, as_bytes(value)); }
  Template& flag(CK_ATTRIBUTE_TYPE type, bool value);
  Template& number(CK_ATTRIBUTE_TYPE type, CK_ULONG value);
  [[nodiscard]] std::span<CK_ATTRIBUTE> attributes() { return attributes_; }

 private:
  std::deque<Bytes> values_;
  std::vector<CK_ATTRIBUTE> attributes_;
};

// A session belongs to one operation at a time. One that failed with hsm_session_lost or hsm_device_lost is dropped,
// never reused.
class Session {
 public:
  // Read-only is read-write where the module refuses read-only sessions; access() tells.
  enum class Access { read_only, read_write };
  static Result<Session> open(const Token& token, Access access = Access::read_only);

  Session(Session&& other) noexcept;
  Session& operator=(Session&& other) noexcept;
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;
  ~Session();  // C_CloseSession

  // How a login treats the token's warning flags (CKF_USER_PIN_COUNT_LOW, FINAL_TRY).
  enum class Guard {
    refuse_flags,  // nobody logs in by itself after a wrong PIN
    spend_one,     // an operator decided to
  };

  // Logs the user in for all sessions of this process; being logged in already is success. One attempt with the PIN:
  // only CKR_GENERAL_ERROR and CKR_USER_PIN_NOT_INITIALIZED, which say nothing about the PIN (SoftHSM gives them while
  // another process writes to the token), are tried again a few times. Reasons "pin-incorrect", "pin-guarded",
  // "pin-unusable".
  enum class Login { accepted, was_logged_in };
  Result<Login> login(const Secret& pin, Guard guard = Guard::refuse_flags);

  // Handles of all objects that match, at most `limit`.
  Result<std::vector<CK_OBJECT_HANDLE>> find(Template& wanted, std::size_t limit = 64);

  Result<Bytes> attribute(CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type);
  Result<CK_ULONG> number(CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type);
  std::optional<bool> flag(CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type);  // nothing where the module does not tell

  // By C_GetSessionInfo; nothing where the module does not tell. Some answer from a cache: no proof that the session
  // lives.
  [[nodiscard]] std::optional<bool> logged_in() const;

  [[nodiscard]] Access access() const { return access_; }
  [[nodiscard]] CK_SESSION_HANDLE handle() const { return handle_; }
  [[nodiscard]] const CK_FUNCTION_LIST& api() const { return token_.module()->api(); }
  [[nodiscard]] const Token& token() const { return token_; }

 private:
  Session(Token token, CK_SESSION_HANDLE handle, Access access)
      : token_(std::move(token)), handle_(handle), access_(access) {}

  Token token_;
  CK_SESSION_HANDLE handle_ = CK_INVALID_HANDLE;
  Access access_;
};

}  // namespace avseal::pkcs11
