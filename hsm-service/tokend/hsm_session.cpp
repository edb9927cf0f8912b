#include "tokend/hsm_session.hpp"

#include "pkcs11/errors.hpp"
#include "pkcs11/signing.hpp"

namespace avseal::tokend {

Result<HsmSession> HsmSession::open(Hsm& hsm) {
  const std::uint64_t generation = hsm.generation();
  AVSEAL_TRY(pkcs11::Session opened, hsm.open_session());
  HsmSession session(hsm, generation, std::move(opened));
  if (!session.session_.logged_in().value_or(true)) {
    return pkcs11::errors::call_failed("C_GetSessionInfo", CKR_USER_NOT_LOGGED_IN);
  }
  for (const Key& key : hsm.keys()) {
    AVSEAL_TRY(const CK_OBJECT_HANDLE handle, find_handle(session.session_, key.config));
    session.handles_.push_back(handle);
  }
  return session;
}

Result<Bytes> HsmSession::sign(std::size_t key, ByteView input) {
  const Key& with = hsm_->keys()[key];
  return pkcs11::sign(session_, handles_[key], with.mechanism, with.rule.algorithm, input);
}

Result<Bytes> HsmSession::wrap(std::size_t key, ByteView data_key, ByteView aad) {
  return pkcs11::wrap(session_, handles_[key], hsm_->keys()[key].wrap_form, data_key, aad);
}

Result<Bytes> HsmSession::unwrap(std::size_t key, ByteView wrapped, ByteView aad) {
  AVSEAL_TRY(const Secret data_key, pkcs11::unwrap(session_, handles_[key], wrapped, aad));
  return Bytes(data_key.reveal().begin(), data_key.reveal().end());
}

Result<void> HsmSession::probe(std::size_t key) {
  const Key& tried = hsm_->keys()[key];
  AVSEAL_CHECK(tokend::probe(session_, handles_[key], tried));
  hsm_->probed(tried);
  return {};
}

}  // namespace avseal::tokend
