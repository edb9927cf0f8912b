// Keys on a token: finding exactly one, reading what it is, making new ones.
#pragma once

#include "pkcs11/key_kind.hpp"
#include "pkcs11/session.hpp"
#include "pkcs11/wrapping.hpp"
#include "tokens/public_key.hpp"

namespace avseal::pkcs11 {

// The one private EC key, or secret AES key, that the URI names. Reasons "key-not-found", "key-ambiguous" (duplicate
// labels sign with the wrong key one day), "token-not-present" if the URI names another token than the session's.
Result<CK_OBJECT_HANDLE> find_private_key(Session& session, const Uri& uri);
Result<CK_OBJECT_HANDLE> find_secret_key(Session& session, const Uri& uri);

// The public key of a private key: from its own CKA_EC_POINT, else from the one public key object with its CKA_ID or
// label. The point is taken as a DER octet string, a DER bit string or raw, as modules differ. Reason "key-unsuitable".
Result<tokens::PublicKey> read_public_key(Session& session, CK_OBJECT_HANDLE private_key);
Result<tokens::PublicKey> decode_ec_point(ByteView value);

// The attributes that an auditor asks for; empty where the module does not tell.
struct KeyDescription {
  CK_OBJECT_HANDLE handle = CK_INVALID_HANDLE;
  std::string object_class;  // "private-key", "secret-key"
  std::string label;
  Bytes id;
  std::string type;  // "EC P-256", "EC P-384", "AES-256", or "type N"
  std::optional<tokens::PublicKey> public_key;
  std::optional<bool> sensitive;
  std::optional<bool> extractable;
  std::optional<bool> always_sensitive;
  std::optional<bool> never_extractable;
  std::optional<bool> local;
  std::optional<bool> modifiable;
  std::optional<bool> private_object;
  std::optional<bool> token_object;
  std::optional<bool> copyable;
  std::optional<bool> destroyable;
  std::optional<bool> wrap_with_trusted;
  std::optional<std::string> key_gen_mechanism;
  std::optional<std::vector<std::string>> allowed_mechanisms;
  std::optional<std::string> start_date;  // "2026-01-31", or "" where the key has none
  std::optional<std::string> end_date;
  std::vector<std::string> usage;  // "sign", "decrypt", ...: every use that is allowed
};

Result<std::vector<KeyDescription>> list_keys(Session& session);  // private and secret keys, by label

struct NewKey {
  KeyKind kind = KeyKind::avatar_id;
  std::string label;
  Bytes id;                                                // empty: random
  tokens::Algorithm algorithm = tokens::Algorithm::es256;  // of signing kinds
  std::optional<WrapForm> wrap_form = std::nullopt;        // of dac-kek; empty: what the token offers
};

// Makes the key on the token of a read-write session: sensitive, not extractable, for its kind's one use, not
// modifiable where the module takes that. Reason "key-exists" if any object has the label or id.
Result<KeyDescription> generate_key(Session& session, const NewKey& key);

// Removes every object with the key's id: private or secret key, public key, certificates. Reason "key-unsuitable" if
// it has no id, or the module refuses.
Result<void> destroy_key(Session& session, const KeyDescription& key);

}  // namespace avseal::pkcs11
