#include <array>

#include <openssl/crypto.h>

#include "pkcs11/errors.hpp"
#include "pkcs11/wrapping.hpp"
#include "pkcs11/wrapping_forms.hpp"
#include "tokens/digest.hpp"

namespace avseal::pkcs11 {

namespace {

constexpr auto first_byte = static_cast<std::uint8_t>(WrapForm::aes_gcm);
constexpr std::size_t iv_size = 12;
constexpr std::size_t tag_size = 16;

// The C API's pointers are to non-const; it only reads from them.
unsigned char* input(ByteView bytes) {
  return const_cast<unsigned char*>(bytes.data());
}

Bytes authenticated(ByteView aad) {
  Bytes bytes{first_byte};
  bytes.insert(bytes.end(), aad.begin(), aad.end());
  return bytes;
}

CK_GCM_PARAMS gcm_params(ByteView iv, ByteView aad) {
  CK_GCM_PARAMS params{};
  params.pIv = input(iv);
  params.ulIvLen = iv.size();
  params.ulIvBits = 8 * iv.size();
  params.pAAD = input(aad);
  params.ulAADLen = aad.size();
  params.ulTagBits = 8 * tag_size;
  return params;
}

}  // namespace

Result<Bytes> seal_gcm(Session& session, CK_OBJECT_HANDLE key, ByteView data_key, ByteView aad) {
  const Bytes iv = tokens::random_bytes(iv_size);
  const Bytes bound = authenticated(aad);
  CK_GCM_PARAMS params = gcm_params(iv, bound);
  CK_MECHANISM mechanism{CKM_AES_GCM, &params, sizeof params};
  if (const CK_RV rv = session.api().C_EncryptInit(session.handle(), &mechanism, key); rv != CKR_OK) {
    return errors::call_failed("C_EncryptInit", rv);
  }
  Bytes wrapped{first_byte};
  wrapped.insert(wrapped.end(), iv.begin(), iv.end());
  wrapped.resize(1 + iv_size + data_key.size() + tag_size);
  CK_ULONG size = data_key.size() + tag_size;
  const CK_RV rv =
      session.api().C_Encrypt(session.handle(), input(data_key), data_key.size(), wrapped.data() + 1 + iv_size, &size);
  if (rv != CKR_OK) return errors::call_failed("C_Encrypt", rv);
  if (size != data_key.size() + tag_size) return errors::call_failed("C_Encrypt", CKR_DATA_LEN_RANGE);
  return wrapped;
}

Result<Secret> open_gcm(Session& session, CK_OBJECT_HANDLE key, ByteView wrapped, ByteView aad, CK_RV& rv) {
  const Bytes bound = authenticated(aad);
  CK_GCM_PARAMS params = gcm_params(wrapped.subspan(1, iv_size), bound);
  CK_MECHANISM mechanism{CKM_AES_GCM, &params, sizeof params};
  if (const CK_RV init = session.api().C_DecryptInit(session.handle(), &mechanism, key); init != CKR_OK) {
    return errors::call_failed("C_DecryptInit", init);
  }
  const ByteView sealed = wrapped.subspan(1 + iv_size);
  std::array<std::uint8_t, max_data_key + tag_size> buffer{};
  CK_ULONG size = buffer.size();
  rv = session.api().C_Decrypt(session.handle(), input(sealed), sealed.size(), buffer.data(), &size);
  Secret data_key;
  if (rv == CKR_OK && size <= buffer.size()) data_key = Secret::copy_of(ByteView(buffer).first(size));
  OPENSSL_cleanse(buffer.data(), buffer.size());
  return data_key;
}

}  // namespace avseal::pkcs11
