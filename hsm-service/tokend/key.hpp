// A configured key as it is on the token.
#pragma once

#include <optional>

#include "pkcs11/wrapping.hpp"
#include "tokend/config.hpp"
#include "tokend/key_rules.hpp"

namespace avseal::tokend {

struct Key {
  KeyConfig config;
  KeyRule rule;
  std::optional<tokens::PublicKey> public_key;             // of signing kinds
  CK_MECHANISM_TYPE mechanism = 0;                         // of signing kinds
  pkcs11::WrapForm wrap_form = pkcs11::WrapForm::aes_gcm;  // of dac-kek
  Bytes witness;                                           // of dac-kek: random bytes,
  Bytes wrapped_witness;                                   // which this key wrapped
};

// Exactly one key with that URI. Reasons "key-not-found", "key-ambiguous", "key-unsuitable".
Result<CK_OBJECT_HANDLE> find_handle(pkcs11::Session& session, const KeyConfig& config);

// Finds the key and how to use it, by using it once.
Result<Key> load_key(pkcs11::Session& session, const KeyConfig& config, const Quirks& quirks);

// Whether the key that is there now is the one from before. Reason hsm_error: a new process may take it as it is.
Result<void> require_same_key(pkcs11::Session& session, const Key& key);

// Uses the key once, so that nothing leaves this function: signs and verifies, or unwraps the witness. Reason
// hsm_bad_signature if it is another key.
Result<void> probe(pkcs11::Session& session, CK_OBJECT_HANDLE handle, const Key& key);

}  // namespace avseal::tokend
