// Wrapping data keys under an AES key of the token.
#pragma once

#include "pkcs11/session.hpp"

namespace avseal::pkcs11 {

// The first byte of what wrap() gives.
enum class WrapForm : std::uint8_t {
  // AES-256-GCM. Then: a random IV of 12 bytes, ciphertext, tag of 16 bytes. This byte and `aad` are authenticated.
  aes_gcm = 0x01,
  // CKM_AES_KEY_WRAP, for tokens that take no IV of the caller's. Then: the wrapped data key || SHA-256(aad).
  aes_kw = 0x02,
};

// What a new key on the token is best made for: AES-GCM if the token has it. Reason "key-unsuitable".
Result<WrapForm> offered_wrap_form(const Token& token);

// The same, of what the key's attributes allow.
Result<WrapForm> choose_wrap_form(Session& session, CK_OBJECT_HANDLE key);

// A data key has 16 to 64 bytes, with aes_kw a multiple of 8. Reason "key-unsuitable" for another.
Result<Bytes> wrap(Session& session, CK_OBJECT_HANDLE key, WrapForm form, ByteView data_key, ByteView aad);

// Whatever the form, where the key's attributes allow it. Reason "wrapped-invalid".
Result<Secret> unwrap(Session& session, CK_OBJECT_HANDLE key, ByteView wrapped, ByteView aad);

}  // namespace avseal::pkcs11
