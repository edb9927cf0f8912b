// ECDSA with a key on a token.
#pragma once

#include "pkcs11/session.hpp"
#include "tokens/public_key.hpp"

namespace avseal::pkcs11 {

// Whether the hash is made here (CKM_ECDSA), which every module has but some forbid, or in the HSM (CKM_ECDSA_SHA256
// and _SHA384).
enum class Ecdsa { automatic, raw, hashed };

// The mechanism by which the key signs, raw rather than hashed. It is found by signing and verifying "avseal-probe-v1"
// and random bytes, for modules list mechanisms that they refuse and take some that they do not list. Reasons
// "key-unsuitable" if every mechanism is refused, hsm_bad_signature.
Result<CK_MECHANISM_TYPE> find_sign_mechanism(Session& session, CK_OBJECT_HANDLE key,
                                              const tokens::PublicKey& public_key, Ecdsa form = Ecdsa::automatic);

// ECDSA with the algorithm's hash over `message`: r || s of fixed width, both in the range of the curve. Anything else
// that the HSM gives is an hsm_error. The signature is not verified here.
Result<Bytes> sign(Session& session, CK_OBJECT_HANDLE key, CK_MECHANISM_TYPE mechanism, tokens::Algorithm algorithm,
                   ByteView message);

// Signs "avseal-probe-v1" and random bytes, and verifies that. Reason hsm_bad_signature.
Result<void> probe_signing(Session& session, CK_OBJECT_HANDLE key, CK_MECHANISM_TYPE mechanism,
                           const tokens::PublicKey& public_key);

// Whether r || s has the algorithm's length, and 0 < r, s < the order of its curve.
bool is_raw_signature(tokens::Algorithm algorithm, ByteView signature);

}  // namespace avseal::pkcs11
