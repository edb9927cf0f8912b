#include "device/provision.hpp"

#include <algorithm>

#include <openssl/crypto.h>

#include "device/errors.hpp"
#include "tokens/digest.hpp"

namespace avseal::device {

namespace {

constexpr std::size_t auth_size = 32;

bool acceptable(ByteView auth) {
  return auth.size() == auth_size && auth.back() != 0;
}

Result<Secret> read_auth(const StateDirectory& directory, const std::filesystem::path& credentials) {
  const bool given = !credentials.empty() && std::filesystem::exists(credentials / files::auth);
  const std::filesystem::path path = (given ? credentials : directory.path()) / files::auth;
  AVSEAL_TRY(Bytes bytes, read_file(path, auth_size, !given));
  Secret auth = Secret::copy_of(bytes);
  OPENSSL_cleanse(bytes.data(), bytes.size());
  if (!acceptable(auth.reveal())) return errors::auth_malformed(path.string());
  return auth;
}

// The auth value of a new key: the operator's credential if there is one, else random and kept in the directory.
Result<Secret> new_auth(const StateDirectory& directory, const std::filesystem::path& credentials) {
  if (!credentials.empty() && std::filesystem::exists(credentials / files::auth)) {
    return read_auth(directory, credentials);
  }
  Secret auth = Secret::random(auth_size);
  while (!acceptable(auth.reveal())) auth = Secret::random(auth_size);
  AVSEAL_CHECK(directory.write(files::auth, auth.reveal()));
  return auth;
}

// What stands at 0x81000001 is used only if it is of our template; a free place is taken; in every other case, also
// where the TPM refuses a persistent object, the same primary is made again by each process.
Result<tpm::Handle> find_or_make_srk(tpm::Context& context) {
  AVSEAL_TRY(auto present, tpm::find_persistent(context, tpm::srk_handle));
  if (present && tpm::matches_template(present->public_area, tpm::srk_template())) return std::move(present->handle);
  AVSEAL_TRY(tpm::Handle made, tpm::create_srk(context));
  if (!present) {
    auto kept = tpm::make_persistent(context, made, tpm::srk_handle);
    if (kept) return std::move(*kept);
    if (tpm::needs_new_context(kept.error())) return kept.error();
  }
  return made;
}

// The pinned SRK: at its place, or made again. Whoever uses it compares Names.
Result<tpm::Handle> pinned_srk(tpm::Context& context, const DeviceState& state) {
  if (state.srk_persistent) {
    AVSEAL_TRY(auto present, tpm::find_persistent(context, tpm::srk_handle));
    if (present) {
      AVSEAL_TRY(const Bytes name, present->handle.name());
      if (name == state.srk_name) return std::move(present->handle);
    }
  }
  return tpm::create_srk(context);
}

Result<void> test_signature(tpm::Context& context, tpm::LoadedKey& loaded, const tpm::KeyBlob& blob) {
  const Bytes message = tokens::random_bytes(32);
  AVSEAL_TRY(const Bytes signature, tpm::sign_digest(context, loaded.key, loaded.session, tokens::sha256(message)));
  AVSEAL_TRY(const tokens::PublicKey key, tpm::public_key_of(blob.public_area));
  return key.verify(message, signature);
}

}  // namespace

Result<void> provision(tpm::Context& context, const StateDirectory& directory,
                       const std::filesystem::path& credentials) {
  StoredKey stored;
  {
    AVSEAL_TRY(const tpm::Handle srk, find_or_make_srk(context));
    stored.state.srk_persistent = srk.is_persistent();
    AVSEAL_TRY(stored.state.srk_name, srk.name());
    AVSEAL_TRY(stored.auth, new_auth(directory, credentials));
    AVSEAL_TRY(tpm::Session session, tpm::Session::start(context, srk, stored.state.srk_name));
    AVSEAL_TRY(stored.blob, tpm::create_ue_key(context, srk, session, stored.auth));
  }
  AVSEAL_TRY(stored.state.ue_key_name, tpm::name_of(stored.blob.public_area));
  {
    AVSEAL_TRY(tpm::LoadedKey loaded, load(context, stored));
    AVSEAL_CHECK(test_signature(context, loaded, stored.blob));
  }
  AVSEAL_TRY(const Bytes blob, tpm::marshal(stored.blob));
  AVSEAL_CHECK(directory.write(files::key, blob));
  return directory.write(files::state, as_bytes(render_state(stored.state)));
}

Result<StoredKey> read_key(const StateDirectory& directory, const std::filesystem::path& credentials) {
  if (!directory.has(files::state)) return errors::not_initialised(directory.path().string());
  StoredKey stored;
  AVSEAL_TRY(const Bytes text, directory.read(files::state, 4096));
  auto state = parse_state(as_text(text));
  if (!state) return errors::state_malformed((directory.path() / files::state).string(), state.error().detail);
  stored.state = std::move(*state);
  AVSEAL_TRY(const Bytes bytes, directory.read(files::key, tpm::key_blob_max_size));
  const std::string path = (directory.path() / files::key).string();
  auto blob = tpm::unmarshal_key_blob(bytes);
  if (!blob) return errors::state_malformed(path, blob.error().detail);
  stored.blob = std::move(*blob);
  const auto name = tpm::name_of(stored.blob.public_area);
  if (!name || *name != stored.state.ue_key_name ||
      !tpm::matches_template(stored.blob.public_area, tpm::ue_key_template())) {
    return errors::key_mismatch(path);
  }
  AVSEAL_TRY(stored.auth, read_auth(directory, credentials));
  return stored;
}

Result<tpm::LoadedKey> load(tpm::Context& context, const StoredKey& stored) {
  AVSEAL_TRY(tpm::Handle srk, pinned_srk(context, stored.state));
  AVSEAL_TRY(tpm::Session session, tpm::Session::start(context, srk, stored.state.srk_name));
  AVSEAL_TRY(tpm::Handle key, tpm::load_ue_key(context, srk, session, stored.blob, stored.auth));
  return tpm::LoadedKey{std::move(srk), std::move(session), std::move(key)};
}

}  // namespace avseal::device
