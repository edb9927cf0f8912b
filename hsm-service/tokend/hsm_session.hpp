#pragma once

#include "tokend/hsm.hpp"

namespace avseal::tokend {

// One session with its own handles of every key; used by one thread. `key` is an index in Hsm::keys().
class HsmSession {
 public:
  // Reason hsm_session_lost if the login is gone, "key-not-found" if the module hides the keys then.
  static Result<HsmSession> open(Hsm& hsm);

  Result<Bytes> sign(std::size_t key, ByteView input);
  Result<Bytes> wrap(std::size_t key, ByteView data_key, ByteView aad);
  Result<Bytes> unwrap(std::size_t key, ByteView wrapped, ByteView aad);
  Result<void> probe(std::size_t key);

  [[nodiscard]] std::uint64_t generation() const { return generation_; }  // the Hsm's when it was opened

 private:
  HsmSession(Hsm& hsm, std::uint64_t generation, pkcs11::Session session)
      : hsm_(&hsm), generation_(generation), session_(std::move(session)) {}

  Hsm* hsm_;
  std::uint64_t generation_;
  pkcs11::Session session_;
  std::vector<CK_OBJECT_HANDLE> handles_;
};

}  // namespace avseal::tokend
