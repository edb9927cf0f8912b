// Signing with a key of the token.
#pragma once

#include "pkcs11/session.hpp"
#include "tokens/public_key.hpp"

namespace avseal::pkcs11 {

// CKM_ECDSA over our own hash where the token has it, else the variant that hashes in the HSM. Reason "key-unsuitable".
Result<CK_MECHANISM_TYPE> choose_sign_mechanism(const Token& token, tokens::Algorithm algorithm);

// ECDSA with the algorithm's hash over `message`: r || s of fixed width. The signature is not verified here.
Result<Bytes> sign(Session& session, CK_OBJECT_HANDLE key, CK_MECHANISM_TYPE mechanism, tokens::Algorithm algorithm,
                   ByteView message);

}  // namespace avseal::pkcs11
