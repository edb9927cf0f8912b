// The few TPM commands that avseal uses, each with its session. All run on the thread that owns the Context.
#pragma once

#include <optional>

#include "structures/attest.hpp"
#include "structures/public_area.hpp"
#include "structures/templates.hpp"
#include "tokens/secret.hpp"
#include "tpm/context.hpp"

namespace avseal::tpm {

inline constexpr TPM2_HANDLE srk_handle = 0x81000001;

// The handles in use from `first` up to `last`: objects, sessions or NV indices. At most 64 of them.
Result<std::vector<TPM2_HANDLE>> handles_between(Context& context, TPM2_HANDLE first, TPM2_HANDLE last);

// The persistent object at `handle` as ESAPI knows it, or nothing if the handle is free.
struct PersistentObject {
  Handle handle;
  TPM2B_PUBLIC public_area{};
};
Result<std::optional<PersistentObject>> find_persistent(Context& context, TPM2_HANDLE handle);

// A primary key of a hierarchy whose password is empty; `authorization` is ESYS_TR_PASSWORD or a session. Reason
// "tpm-structure-malformed" if the TPM made another kind of key than `wanted`.
struct Primary {
  Handle handle;
  TPM2B_PUBLIC public_area{};
};
Result<Primary> create_primary(Context& context, ESYS_TR hierarchy, ESYS_TR authorization, const TPM2B_PUBLIC& wanted);

// The storage primary of srk_template() in the owner hierarchy. The same seed always gives the same key.
Result<Primary> create_srk(Context& context);
Result<Handle> make_persistent(Context& context, const Handle& object, TPM2_HANDLE handle);

// A salted HMAC session with AES-128-CFB parameter encryption, reusable, never bound (an auth value that ends in a zero
// byte fails with bound and salted sessions in tpm2-tss 3.2). `expected_name` is the pinned Name of `salt_key`: a key
// with another Name is not used, reason "tpm-srk-mismatch".
class Session {
 public:
  static Result<Session> start(Context& context, const Handle& salt_key, ByteView expected_name);

  // Before each command: encrypt the command's first parameter, and if `answer` also that of the answer.
  Result<ESYS_TR> encrypting(bool answer);
  [[nodiscard]] const Handle& handle() const { return handle_; }

 private:
  Session(Context& context, Handle handle) : context_(&context), handle_(std::move(handle)) {}
  Context* context_;
  Handle handle_;
};

// An object is flushed only if it still is the one named.
void flush_leftover(Context& context, const Leftover& leftover);

// A new UE key under `parent`; its auth value travels encrypted. Checks that the TPM made what was asked for.
Result<KeyBlob> create_ue_key(Context& context, const Handle& parent, Session& session, const Secret& auth);
// Loads it with its auth value. Reason "tpm-name-mismatch" if the TPM does not load the blob's own Name.
Result<Handle> load_ue_key(Context& context, const Handle& parent, Session& session, const KeyBlob& blob,
                           const Secret& auth);
// r || s over a SHA-256 digest.
Result<Bytes> sign_digest(Context& context, const Handle& key, Session& session, ByteView digest);

}  // namespace avseal::tpm
