#include "pkcs11/signing.hpp"

#include <algorithm>
#include <array>

#include "pkcs11/errors.hpp"
#include "tokens/digest.hpp"

namespace avseal::pkcs11 {

namespace {

constexpr std::string_view probe_prefix = "avseal-probe-v1";

constexpr std::array<std::uint8_t, 32> order_p256 = {0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff,
                                                     0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17,
                                                     0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51};
constexpr std::array<std::uint8_t, 48> order_p384 = {
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xc7, 0x63, 0x4d, 0x81, 0xf4, 0x37, 0x2d, 0xdf,
    0x58, 0x1a, 0x0d, 0xb2, 0x48, 0xb0, 0xa7, 0x7a, 0xec, 0xec, 0x19, 0x6a, 0xcc, 0xc5, 0x29, 0x73};

ByteView order_of(tokens::Algorithm algorithm) {
  return algorithm == tokens::Algorithm::es256 ? ByteView(order_p256) : ByteView(order_p384);
}

bool in_range(ByteView number, ByteView order) {
  const bool positive = std::any_of(number.begin(), number.end(), [](std::uint8_t byte) { return byte != 0; });
  return positive && std::lexicographical_compare(number.begin(), number.end(), order.begin(), order.end());
}

Bytes hash(tokens::Algorithm algorithm, ByteView message) {
  if (algorithm == tokens::Algorithm::es384) return tokens::sha384(message);
  const tokens::Sha256 digest = tokens::sha256(message);
  return {digest.begin(), digest.end()};
}

std::vector<CK_MECHANISM_TYPE> mechanisms(tokens::Algorithm algorithm, Ecdsa form) {
  const CK_MECHANISM_TYPE hashed = algorithm == tokens::Algorithm::es256 ? CKM_ECDSA_SHA256 : CKM_ECDSA_SHA384;
  if (form == Ecdsa::raw) return {CKM_ECDSA};
  if (form == Ecdsa::hashed) return {hashed};
  return {CKM_ECDSA, hashed};
}

// A refusal of this mechanism with this key, not a failure of the HSM.
bool is_refused(const Error& error) {
  const CK_RV rv = ckr_of(error);
  return rv == CKR_MECHANISM_INVALID || rv == CKR_KEY_FUNCTION_NOT_PERMITTED || rv == CKR_FUNCTION_NOT_SUPPORTED ||
         rv == CKR_KEY_TYPE_INCONSISTENT;
}

// The C API's pointers are to non-const; it only reads from them.
unsigned char* input(ByteView bytes) {
  return const_cast<unsigned char*>(bytes.data());
}

}  // namespace

bool is_raw_signature(tokens::Algorithm algorithm, ByteView signature) {
  const ByteView order = order_of(algorithm);
  return signature.size() == 2 * order.size() && in_range(signature.first(order.size()), order) &&
         in_range(signature.last(order.size()), order);
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
  const ByteView signature = ByteView(buffer).first(std::min<std::size_t>(size, buffer.size()));
  if (!is_raw_signature(algorithm, signature)) {
    return avseal::errors::make(Category::unavailable, hsm_error,
                                "C_Sign gave " + std::to_string(size) + " bytes that are no r || s of " +
                                    std::to_string(2 * order_of(algorithm).size()) + " bytes on the key's curve");
  }
  return Bytes(signature.begin(), signature.end());
}

Result<void> probe_signing(Session& session, CK_OBJECT_HANDLE key, CK_MECHANISM_TYPE mechanism,
                           const tokens::PublicKey& public_key) {
  const Bytes random = tokens::random_bytes(32);
  Bytes message(probe_prefix.begin(), probe_prefix.end());
  message.insert(message.end(), random.begin(), random.end());
  AVSEAL_TRY(const Bytes signature, sign(session, key, mechanism, public_key.algorithm(), message));
  if (public_key.verify(message, signature)) return {};
  return avseal::errors::make(Category::unavailable, hsm_bad_signature,
                              "the HSM gave a signature that the key's public key does not verify");
}

Result<CK_MECHANISM_TYPE> find_sign_mechanism(Session& session, CK_OBJECT_HANDLE key,
                                              const tokens::PublicKey& public_key, Ecdsa form) {
  std::string refusals;
  for (const CK_MECHANISM_TYPE mechanism : mechanisms(public_key.algorithm(), form)) {
    const auto probed = probe_signing(session, key, mechanism, public_key);
    if (probed) return mechanism;
    if (!is_refused(probed.error())) return probed.error();
    refusals += (mechanism == CKM_ECDSA ? "; with CKM_ECDSA " : "; with the mechanism that hashes in the HSM ") +
                probed.error().detail;
  }
  const auto label = session.attribute(key, CKA_LABEL);
  return errors::key_unsuitable(label ? as_text(*label) : "", "it cannot sign" + refusals);
}

}  // namespace avseal::pkcs11
