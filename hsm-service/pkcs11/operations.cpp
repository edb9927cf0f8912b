#include "pkcs11/operations.hpp"

#include <array>

#include "pkcs11/errors.hpp"
#include "tokens/digest.hpp"

namespace avseal::pkcs11 {

namespace {

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

}  // namespace avseal::pkcs11
