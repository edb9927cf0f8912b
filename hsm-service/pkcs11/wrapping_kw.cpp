#include <algorithm>
#include <array>

#include <openssl/crypto.h>

#include "pkcs11/errors.hpp"
#include "pkcs11/wrapping.hpp"
#include "pkcs11/wrapping_forms.hpp"
#include "tokens/digest.hpp"

namespace avseal::pkcs11 {

namespace {

constexpr std::size_t block = 8;
constexpr std::size_t hash_size = 32;

// What C_WrapKey takes and C_UnwrapKey gives is an object; it lives as long as this one.
class SessionObject {
 public:
  SessionObject(Session& session, CK_OBJECT_HANDLE handle) : session_(session), handle_(handle) {}
  SessionObject(const SessionObject&) = delete;
  SessionObject& operator=(const SessionObject&) = delete;
  ~SessionObject() { session_.api().C_DestroyObject(session_.handle(), handle_); }
  [[nodiscard]] CK_OBJECT_HANDLE handle() const { return handle_; }

 private:
  Session& session_;
  CK_OBJECT_HANDLE handle_;
};

// A secret that may leave the token again: it is the caller's.
Template secret_template() {
  Template object;
  object.number(CKA_CLASS, CKO_SECRET_KEY).number(CKA_KEY_TYPE, CKK_GENERIC_SECRET).flag(CKA_TOKEN, false);
  object.flag(CKA_PRIVATE, true).flag(CKA_SENSITIVE, false).flag(CKA_EXTRACTABLE, true);
  return object;
}

}  // namespace

Result<Bytes> seal_kw(Session& session, CK_OBJECT_HANDLE key, ByteView data_key, ByteView aad) {
  if (data_key.size() % block != 0) return errors::key_unsuitable("a data key", "expected a multiple of 8 bytes");
  const tokens::Sha256 hash = tokens::sha256(aad);
  Bytes value(data_key.begin(), data_key.end());
  value.insert(value.end(), hash.begin(), hash.end());
  Template object = secret_template();
  // The last attribute is pointed at the value here, for a template would keep a copy that is never cleared.
  std::vector<CK_ATTRIBUTE> attributes(object.attributes().begin(), object.attributes().end());
  attributes.push_back({CKA_VALUE, value.data(), value.size()});
  CK_OBJECT_HANDLE handle = CK_INVALID_HANDLE;
  const CK_RV created = session.api().C_CreateObject(session.handle(), attributes.data(), attributes.size(), &handle);
  OPENSSL_cleanse(value.data(), value.size());
  if (created != CKR_OK) return errors::call_failed("C_CreateObject", created);

  const SessionObject secret(session, handle);
  Bytes wrapped(kw_overhead + data_key.size());
  wrapped[0] = static_cast<std::uint8_t>(WrapForm::aes_kw);
  CK_MECHANISM mechanism{CKM_AES_KEY_WRAP, nullptr, 0};
  CK_ULONG size = wrapped.size() - 1;
  const CK_RV rv =
      session.api().C_WrapKey(session.handle(), &mechanism, key, secret.handle(), wrapped.data() + 1, &size);
  if (rv != CKR_OK) return errors::call_failed("C_WrapKey", rv);
  if (size != wrapped.size() - 1) return errors::call_failed("C_WrapKey", CKR_WRAPPED_KEY_LEN_RANGE);
  return wrapped;
}

Result<Secret> open_kw(Session& session, CK_OBJECT_HANDLE key, ByteView wrapped, ByteView aad, CK_RV& rv) {
  Template object = secret_template();
  CK_MECHANISM mechanism{CKM_AES_KEY_WRAP, nullptr, 0};
  Bytes sealed(wrapped.begin() + 1, wrapped.end());
  CK_OBJECT_HANDLE handle = CK_INVALID_HANDLE;
  rv = session.api().C_UnwrapKey(session.handle(), &mechanism, key, sealed.data(), sealed.size(),
                                 object.attributes().data(), object.attributes().size(), &handle);
  if (rv != CKR_OK) return Secret();

  const SessionObject secret(session, handle);
  std::array<std::uint8_t, max_data_key + hash_size> value{};
  CK_ATTRIBUTE attribute{CKA_VALUE, value.data(), value.size()};
  const CK_RV read = session.api().C_GetAttributeValue(session.handle(), secret.handle(), &attribute, 1);
  if (read != CKR_OK) return errors::call_failed("C_GetAttributeValue", read);
  const tokens::Sha256 expected = tokens::sha256(aad);
  Secret data_key;
  const std::size_t size = attribute.ulValueLen;
  if (size < hash_size || CRYPTO_memcmp(value.data() + size - hash_size, expected.data(), hash_size) != 0) {
    rv = CKR_WRAPPED_KEY_INVALID;
  } else {
    data_key = Secret::copy_of(ByteView(value).first(size - hash_size));
  }
  OPENSSL_cleanse(value.data(), value.size());
  return data_key;
}

}  // namespace avseal::pkcs11
