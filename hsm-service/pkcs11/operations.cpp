#include "pkcs11/operations.hpp"

#include <algorithm>
#include <array>

#include <openssl/crypto.h>

#include "pkcs11/errors.hpp"
#include "tokens/digest.hpp"

namespace avseal::pkcs11 {

namespace {

constexpr std::uint8_t gcm_format = 0x01;
constexpr std::size_t iv_size = 12;
constexpr std::size_t tag_size = 16;
constexpr std::size_t max_data_key = 64;
constexpr std::size_t overhead = 1 + iv_size + tag_size;

CK_MECHANISM_TYPE hashing_mechanism(tokens::Algorithm algorithm) {
  return algorithm == tokens::Algorithm::es256 ? CKM_ECDSA_SHA256 : CKM_ECDSA_SHA384;
}

Bytes hash(tokens::Algorithm algorithm, ByteView message) {
  if (algorithm == tokens::Algorithm::es384) return tokens::sha384(message);
  const tokens::Sha256 digest = tokens::sha256(message);
  return {digest.begin(), digest.end()};
}

// The C API's pointers are to non-const; it only reads from them.
unsigned char* input(ByteView bytes) {
  return const_cast<unsigned char*>(bytes.data());
}

Bytes authenticated(ByteView aad) {
  Bytes bytes{gcm_format};
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

// C_Decrypt's code goes to rv; an error is one of C_DecryptInit.
Result<Secret> decrypt(Session& session, CK_OBJECT_HANDLE key, ByteView wrapped, ByteView aad, CK_RV& rv) {
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

}  // namespace

Result<CK_MECHANISM_TYPE> choose_sign_mechanism(const Token& token, tokens::Algorithm algorithm) {
  if (token.offers(CKM_ECDSA, CKF_SIGN)) return CK_MECHANISM_TYPE{CKM_ECDSA};
  if (token.offers(hashing_mechanism(algorithm), CKF_SIGN)) return hashing_mechanism(algorithm);
  return errors::key_unsuitable(token.label(), "its token has neither CKM_ECDSA nor CKM_ECDSA_SHA256/384 for signing");
}

Result<Bytes> sign(Session& session, CK_OBJECT_HANDLE key, CK_MECHANISM_TYPE mechanism, tokens::Algorithm algorithm,
                   ByteView message) {
  CK_MECHANISM parameters{mechanism, nullptr, 0};
  if (const CK_RV rv = session.api().C_SignInit(session.handle(), &parameters, key); rv != CKR_OK) {
    return errors::call_failed("C_SignInit", rv);
  }
  const Bytes digest = mechanism == CKM_ECDSA ? hash(algorithm, message) : Bytes();
  const ByteView data = mechanism == CKM_ECDSA ? ByteView(digest) : message;
  std::array<std::uint8_t, 144> buffer{};
  CK_ULONG size = buffer.size();
  if (const CK_RV rv = session.api().C_Sign(session.handle(), input(data), data.size(), buffer.data(), &size);
      rv != CKR_OK) {
    return errors::call_failed("C_Sign", rv);
  }
  const std::size_t width = algorithm == tokens::Algorithm::es256 ? 64 : 96;
  if (size != width) {
    return avseal::errors::make(
        Category::unavailable, hsm_error,
        "C_Sign gave a signature of " + std::to_string(size) + " bytes, expected r || s of " + std::to_string(width));
  }
  return Bytes(buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(width));
}

Result<Bytes> wrap(Session& session, CK_OBJECT_HANDLE key, ByteView data_key, ByteView aad) {
  const Bytes iv = tokens::random_bytes(iv_size);
  const Bytes bound = authenticated(aad);
  CK_GCM_PARAMS params = gcm_params(iv, bound);
  CK_MECHANISM mechanism{CKM_AES_GCM, &params, sizeof params};
  if (const CK_RV rv = session.api().C_EncryptInit(session.handle(), &mechanism, key); rv != CKR_OK) {
    return errors::call_failed("C_EncryptInit", rv);
  }
  Bytes wrapped{gcm_format};
  wrapped.insert(wrapped.end(), iv.begin(), iv.end());
  wrapped.resize(1 + iv_size + data_key.size() + tag_size);
  CK_ULONG size = data_key.size() + tag_size;
  const CK_RV rv =
      session.api().C_Encrypt(session.handle(), input(data_key), data_key.size(), wrapped.data() + 1 + iv_size, &size);
  if (rv != CKR_OK) return errors::call_failed("C_Encrypt", rv);
  if (size != data_key.size() + tag_size) return errors::call_failed("C_Encrypt", CKR_DATA_LEN_RANGE);
  return wrapped;
}

Result<Secret> unwrap(Session& session, CK_OBJECT_HANDLE key, ByteView wrapped, ByteView aad) {
  if (wrapped.size() <= overhead || wrapped.size() > overhead + max_data_key || wrapped[0] != gcm_format) {
    return errors::wrapped_invalid("it has not the form of this version");
  }
  CK_RV rv = CKR_OK;
  AVSEAL_TRY(Secret data_key, decrypt(session, key, wrapped, aad, rv));
  // Some modules (SoftHSM) tell a wrong tag by a code that may mean anything: then the key itself is asked.
  if (rv == CKR_GENERAL_ERROR || rv == CKR_FUNCTION_FAILED) {
    CK_RV control_rv = CKR_OK;
    AVSEAL_TRY(const Bytes control, wrap(session, key, tokens::random_bytes(32), aad));
    AVSEAL_TRY(const Secret works, decrypt(session, key, control, aad, control_rv));
    if (control_rv == CKR_OK) rv = CKR_ENCRYPTED_DATA_INVALID;
  }
  if (rv == CKR_ENCRYPTED_DATA_INVALID || rv == CKR_ENCRYPTED_DATA_LEN_RANGE || rv == CKR_SIGNATURE_INVALID) {
    return errors::wrapped_invalid("it was altered, or belongs to another key or associated data");
  }
  if (rv != CKR_OK) return errors::call_failed("C_Decrypt", rv);
  if (data_key.size() != wrapped.size() - overhead) return errors::wrapped_invalid("its length is wrong");
  return data_key;
}

}  // namespace avseal::pkcs11
