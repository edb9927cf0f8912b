#include "tpm/keys.hpp"

#include <algorithm>
#include <iterator>

#include <openssl/crypto.h>

#include "tokens/base64.hpp"

namespace avseal::tpm {

namespace {

constexpr TPML_PCR_SELECTION no_pcrs{};
constexpr TPM2B_DATA no_data{};

Error srk_mismatch(ByteView found, ByteView expected) {
  return avseal::errors::make(Category::forbidden, "tpm-srk-mismatch",
                              "the storage root key has Name " + tokens::hex_encode(found) + ", pinned at init was " +
                                  tokens::hex_encode(expected) +
                                  ": the TPM was cleared or replaced, or answers are altered on the way. The UE key is "
                                  "lost with it: initialise a "
                                  "new state directory and enroll again");
}

// ESAPI keeps its own copy of an auth value; ours is cleared.
struct ClearedAuth {
  TPM2B_AUTH value{};
  explicit ClearedAuth(const Secret& secret) {
    value.size = static_cast<UINT16>(std::min(secret.size(), sizeof value.buffer));
    std::copy_n(secret.reveal().begin(), value.size, value.buffer);
  }
  ClearedAuth(const ClearedAuth&) = delete;
  ClearedAuth& operator=(const ClearedAuth&) = delete;
  ~ClearedAuth() { OPENSSL_cleanse(&value, sizeof value); }
};

struct ClearedSensitive {
  TPM2B_SENSITIVE_CREATE value{};
  ClearedSensitive() = default;
  ClearedSensitive(const ClearedSensitive&) = delete;
  ClearedSensitive& operator=(const ClearedSensitive&) = delete;
  ~ClearedSensitive() { OPENSSL_cleanse(&value, sizeof value); }
};

Result<bool> handle_exists(Context& context, TPM2_HANDLE handle) {
  AVSEAL_TRY(const auto found, handles_between(context, handle, handle));
  return !found.empty();
}

}  // namespace

Result<std::vector<TPM2_HANDLE>> handles_between(Context& context, TPM2_HANDLE first, TPM2_HANDLE last) {
  constexpr std::uint32_t most = 64;
  TPMS_CAPABILITY_DATA* raw = nullptr;
  AVSEAL_CHECK(context.command("TPM2_GetCapability", [&](ESYS_CONTEXT* esys) {
    TPMI_YES_NO more = TPM2_NO;
    return Esys_GetCapability(esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, TPM2_CAP_HANDLES, first, most, &more,
                              &raw);
  }));
  const EsysPtr<TPMS_CAPABILITY_DATA> data(raw);
  const TPML_HANDLE& list = data->data.handles;
  const auto* const end = list.handle + std::min<std::uint32_t>(list.count, most);
  std::vector<TPM2_HANDLE> found;
  std::copy_if(list.handle, end, std::back_inserter(found), [&](TPM2_HANDLE h) { return h >= first && h <= last; });
  return found;
}

Result<std::optional<PersistentObject>> find_persistent(Context& context, TPM2_HANDLE handle) {
  AVSEAL_TRY(const bool exists, handle_exists(context, handle));
  if (!exists) return std::optional<PersistentObject>{};
  ESYS_TR reference = ESYS_TR_NONE;
  AVSEAL_CHECK(context.command("TPM2_ReadPublic", [&](ESYS_CONTEXT* esys) {
    return Esys_TR_FromTPMPublic(esys, handle, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &reference);
  }));
  PersistentObject object{Handle(context, reference, Handle::Kind::persistent)};
  TPM2B_PUBLIC* raw = nullptr;
  AVSEAL_CHECK(context.command("TPM2_ReadPublic", [&](ESYS_CONTEXT* esys) {
    return Esys_ReadPublic(esys, reference, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &raw, nullptr, nullptr);
  }));
  const EsysPtr<TPM2B_PUBLIC> public_area(raw);
  object.public_area = *public_area;
  return std::optional<PersistentObject>(std::move(object));
}

Result<Primary> create_primary(Context& context, ESYS_TR hierarchy, ESYS_TR authorization, const TPM2B_PUBLIC& wanted) {
  const TPM2B_SENSITIVE_CREATE empty{};
  ESYS_TR reference = ESYS_TR_NONE;
  TPM2B_PUBLIC* raw = nullptr;
  AVSEAL_CHECK(context.command("TPM2_CreatePrimary", [&](ESYS_CONTEXT* esys) {
    return Esys_CreatePrimary(esys, hierarchy, authorization, ESYS_TR_NONE, ESYS_TR_NONE, &empty, &wanted, &no_data,
                              &no_pcrs, &reference, &raw, nullptr, nullptr, nullptr);
  }));
  Primary primary{Handle(context, reference, Handle::Kind::flushed)};
  const EsysPtr<TPM2B_PUBLIC> made(raw);
  if (!matches_template(*made, wanted)) return errors::malformed("primary key of the given template");
  primary.public_area = *made;
  return primary;
}

Result<Primary> create_srk(Context& context) {
  return create_primary(context, ESYS_TR_RH_OWNER, ESYS_TR_PASSWORD, srk_template());
}

Result<Handle> make_persistent(Context& context, const Handle& object, TPM2_HANDLE handle) {
  ESYS_TR reference = ESYS_TR_NONE;
  AVSEAL_CHECK(context.command("TPM2_EvictControl", [&](ESYS_CONTEXT* esys) {
    return Esys_EvictControl(esys, ESYS_TR_RH_OWNER, object.get(), ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, handle,
                             &reference);
  }));
  return Handle(context, reference, Handle::Kind::persistent);
}

Result<Session> Session::start(Context& context, const Handle& salt_key, ByteView expected_name) {
  AVSEAL_TRY(const Bytes name, salt_key.name());
  if (!std::equal(name.begin(), name.end(), expected_name.begin(), expected_name.end())) {
    return srk_mismatch(name, expected_name);
  }
  TPMT_SYM_DEF symmetric{};
  symmetric.algorithm = TPM2_ALG_AES;
  symmetric.keyBits.aes = 128;
  symmetric.mode.aes = TPM2_ALG_CFB;
  ESYS_TR reference = ESYS_TR_NONE;
  AVSEAL_CHECK(context.command("TPM2_StartAuthSession", [&](ESYS_CONTEXT* esys) {
    return Esys_StartAuthSession(esys, salt_key.get(), ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, nullptr,
                                 TPM2_SE_HMAC, &symmetric, TPM2_ALG_SHA256, &reference);
  }));
  return Session(context, Handle(context, reference, Handle::Kind::flushed));
}

Result<ESYS_TR> Session::encrypting(bool answer) {
  const TPMA_SESSION attributes =
      TPMA_SESSION_CONTINUESESSION | TPMA_SESSION_DECRYPT | (answer ? TPMA_SESSION_ENCRYPT : TPMA_SESSION{0});
  AVSEAL_CHECK(context_->command("Esys_TRSess_SetAttributes", [&](ESYS_CONTEXT* esys) {
    return Esys_TRSess_SetAttributes(esys, handle_.get(), attributes, 0xFF);
  }));
  return handle_.get();
}

void flush_leftover(Context& context, const Leftover& leftover) {
  const auto exists = handle_exists(context, leftover.handle);
  if (!exists || !*exists) return;
  ESYS_TR reference = ESYS_TR_NONE;
  const auto found = context.command("TPM2_ReadPublic", [&](ESYS_CONTEXT* esys) {
    return Esys_TR_FromTPMPublic(esys, leftover.handle, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &reference);
  });
  if (!found) return;
  Handle handle(context, reference, Handle::Kind::flushed);
  if (leftover.name.empty()) return;
  const auto name = handle.name();
  if (!name || *name != leftover.name) handle.forget();
}

Result<KeyBlob> create_ue_key(Context& context, const Handle& parent, Session& session, const Secret& auth) {
  ClearedSensitive sensitive;
  const ClearedAuth user_auth(auth);
  sensitive.value.sensitive.userAuth = user_auth.value;
  const TPM2B_PUBLIC wanted = ue_key_template();
  TPM2B_PRIVATE* raw_private = nullptr;
  TPM2B_PUBLIC* raw_public = nullptr;
  AVSEAL_TRY(const ESYS_TR encrypted, session.encrypting(true));
  AVSEAL_CHECK(context.command("TPM2_Create", [&](ESYS_CONTEXT* esys) {
    return Esys_Create(esys, parent.get(), encrypted, ESYS_TR_NONE, ESYS_TR_NONE, &sensitive.value, &wanted, &no_data,
                       &no_pcrs, &raw_private, &raw_public, nullptr, nullptr, nullptr);
  }));
  const EsysPtr<TPM2B_PRIVATE> private_area(raw_private);
  const EsysPtr<TPM2B_PUBLIC> public_area(raw_public);
  if (!matches_template(*public_area, wanted)) return errors::malformed("UE key of our template");
  return KeyBlob{*public_area, *private_area};
}

Result<Handle> load_ue_key(Context& context, const Handle& parent, Session& session, const KeyBlob& blob,
                           const Secret& auth) {
  AVSEAL_TRY(const Bytes expected, name_of(blob.public_area));
  ESYS_TR reference = ESYS_TR_NONE;
  AVSEAL_TRY(const ESYS_TR encrypted, session.encrypting(true));
  AVSEAL_CHECK(context.command("TPM2_Load", [&](ESYS_CONTEXT* esys) {
    return Esys_Load(esys, parent.get(), encrypted, ESYS_TR_NONE, ESYS_TR_NONE, &blob.private_area, &blob.public_area,
                     &reference);
  }));
  Handle key(context, reference, Handle::Kind::flushed);
  AVSEAL_TRY(const Bytes name, key.name());
  if (name != expected) {
    return avseal::errors::make(Category::invalid, "tpm-name-mismatch",
                                "the TPM loaded a key with another Name than the key file's");
  }
  const ClearedAuth user_auth(auth);
  AVSEAL_CHECK(context.command("Esys_TR_SetAuth",
                               [&](ESYS_CONTEXT* esys) { return Esys_TR_SetAuth(esys, reference, &user_auth.value); }));
  return key;
}

Result<Bytes> sign_digest(Context& context, const Handle& key, Session& session, ByteView digest) {
  TPM2B_DIGEST input{};
  if (digest.size() != TPM2_SHA256_DIGEST_SIZE) return errors::malformed("SHA-256 digest");
  input.size = TPM2_SHA256_DIGEST_SIZE;
  std::copy(digest.begin(), digest.end(), input.buffer);
  TPMT_SIG_SCHEME scheme{};
  scheme.scheme = TPM2_ALG_ECDSA;
  scheme.details.ecdsa.hashAlg = TPM2_ALG_SHA256;
  // An unrestricted key signs digests that the TPM did not compute: an empty ticket.
  TPMT_TK_HASHCHECK no_ticket{};
  no_ticket.tag = TPM2_ST_HASHCHECK;
  no_ticket.hierarchy = TPM2_RH_NULL;
  TPMT_SIGNATURE* raw = nullptr;
  AVSEAL_TRY(const ESYS_TR encrypted, session.encrypting(false));
  AVSEAL_CHECK(context.command("TPM2_Sign", [&](ESYS_CONTEXT* esys) {
    return Esys_Sign(esys, key.get(), encrypted, ESYS_TR_NONE, ESYS_TR_NONE, &input, &scheme, &no_ticket, &raw);
  }));
  const EsysPtr<TPMT_SIGNATURE> signature(raw);
  return raw_signature(*signature);
}

}  // namespace avseal::tpm
