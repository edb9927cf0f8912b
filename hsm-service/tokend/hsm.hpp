// The worker's side of the HSM: one logged-in token, its configured keys, sessions on it.
#pragma once

#include <memory>

#include "pkcs11/wrapping.hpp"
#include "tokend/config.hpp"
#include "tokend/key_rules.hpp"
#include "tokend/protocol.hpp"

namespace avseal::tokend {

struct Key {
  KeyConfig config;
  KeyRule rule;
  std::optional<tokens::PublicKey> public_key;             // of signing kinds
  CK_MECHANISM_TYPE mechanism = 0;                         // of signing kinds
  pkcs11::WrapForm wrap_form = pkcs11::WrapForm::aes_gcm;  // of dac-kek
};

// Immutable after open(); shared by the session threads.
class Hsm {
 public:
  // Loads the module, finds the token, logs in once and finds every key exactly once. The login lives as long as this
  // object.
  static Result<std::unique_ptr<Hsm>> open(const Config& config);

  [[nodiscard]] const pkcs11::Token& token() const { return login_.token(); }
  [[nodiscard]] const std::vector<Key>& keys() const { return keys_; }
  [[nodiscard]] const std::filesystem::path& state_directory() const { return state_directory_; }
  [[nodiscard]] std::optional<std::size_t> find(std::string_view name) const;  // index in keys()
  [[nodiscard]] std::vector<KeyInfo> announcement() const;
  [[nodiscard]] TokenInfo token_info() const;

 private:
  Hsm(pkcs11::Session login, std::vector<Key> keys, std::filesystem::path state_directory)
      : login_(std::move(login)), keys_(std::move(keys)), state_directory_(std::move(state_directory)) {}

  pkcs11::Session login_;
  std::vector<Key> keys_;
  std::filesystem::path state_directory_;
};

// One session with its own handles of every key; used by one thread. `key` is an index in Hsm::keys().
class HsmSession {
 public:
  static Result<HsmSession> open(const Hsm& hsm);

  Result<Bytes> sign(std::size_t key, ByteView input);
  Result<Bytes> wrap(std::size_t key, ByteView data_key, ByteView aad);
  Result<Bytes> unwrap(std::size_t key, ByteView wrapped, ByteView aad);

  // Signs "avseal-probe-v1" and random bytes and verifies that, or wraps and unwraps a random data key; nothing of it
  // leaves this function.
  Result<void> probe(std::size_t key);

 private:
  HsmSession(const Hsm& hsm, pkcs11::Session session, std::vector<CK_OBJECT_HANDLE> handles)
      : hsm_(&hsm), session_(std::move(session)), handles_(std::move(handles)) {}

  const Hsm* hsm_;
  pkcs11::Session session_;
  std::vector<CK_OBJECT_HANDLE> handles_;
};

// Whether an error needs a new session (or a new process, if there is none to be had).
bool loses_session(const Error& error);

}  // namespace avseal::tokend
