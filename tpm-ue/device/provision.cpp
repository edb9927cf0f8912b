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

bool has_credential(const std::filesystem::path& credentials) {
  return !credentials.empty() && std::filesystem::exists(credentials / files::credential);
}

Result<Secret> read_auth_file(const std::filesystem::path& path, bool only_ours) {
  AVSEAL_TRY(Bytes bytes, read_file(path, auth_size, only_ours));
  Secret auth = Secret::copy_of(bytes);
  OPENSSL_cleanse(bytes.data(), bytes.size());
  if (!acceptable(auth.reveal())) return errors::auth_malformed(path.string());
  return auth;
}

Result<Secret> read_auth(const StateDirectory& directory, const std::filesystem::path& credentials,
                         std::uint32_t generation) {
  if (has_credential(credentials)) return read_auth_file(credentials / files::credential, false);
  return read_auth_file(directory.path() / files::auth(generation), true);
}

// What stands at 0x81000001 is used only if it is of our template; a free place is taken; in every other case, also
// where the TPM refuses a persistent object, the same primary is made again by each process.
Result<tpm::Handle> find_or_make_srk(tpm::Context& context) {
  AVSEAL_TRY(auto present, tpm::find_persistent(context, tpm::srk_handle));
  if (present && tpm::matches_template(present->public_area, tpm::srk_template())) return std::move(present->handle);
  AVSEAL_TRY(tpm::Primary made, tpm::create_srk(context));
  if (!present) {
    auto kept = tpm::make_persistent(context, made.handle, tpm::srk_handle);
    if (kept) return std::move(*kept);
    if (tpm::needs_new_context(kept.error())) return kept.error();
  }
  return std::move(made.handle);
}

// Whoever uses it compares Names.
Result<tpm::Primary> pinned_srk(tpm::Context& context, const DeviceState& state) {
  if (state.srk_persistent) {
    AVSEAL_TRY(auto present, tpm::find_persistent(context, tpm::srk_handle));
    if (present) {
      AVSEAL_TRY(const Bytes name, present->handle.name());
      if (name == state.srk_name) return tpm::Primary{std::move(present->handle), present->public_area};
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

Result<Secret> new_auth(const std::filesystem::path& credentials) {
  if (has_credential(credentials)) return read_auth_file(credentials / files::credential, false);
  Secret auth = Secret::random(auth_size);
  while (!acceptable(auth.reveal())) auth = Secret::random(auth_size);
  return auth;
}

Result<void> write_key(const StateDirectory& directory, const std::filesystem::path& credentials,
                       const StoredKey& key) {
  const std::uint32_t generation = key.state.generation;
  AVSEAL_TRY(const Bytes blob, tpm::marshal(key.blob));
  if (!has_credential(credentials)) AVSEAL_CHECK(directory.write(files::auth(generation), key.auth.reveal()));
  return directory.write(files::key(generation), blob);
}

Result<void> provision(tpm::Context& context, const StateDirectory& directory,
                       const std::filesystem::path& credentials) {
  StoredKey stored;
  {
    AVSEAL_TRY(const tpm::Handle srk, find_or_make_srk(context));
    stored.state.srk_persistent = srk.is_persistent();
    AVSEAL_TRY(stored.state.srk_name, srk.name());
    AVSEAL_TRY(stored.auth, new_auth(credentials));
    AVSEAL_TRY(tpm::Session session, tpm::Session::start(context, srk, stored.state.srk_name));
    AVSEAL_TRY(stored.blob, tpm::create_ue_key(context, srk, session, stored.auth));
  }
  AVSEAL_TRY(stored.state.ue_key_name, tpm::name_of(stored.blob.public_area));
  {
    AVSEAL_TRY(tpm::LoadedKey loaded, load(context, stored));
    AVSEAL_CHECK(test_signature(context, loaded, stored.blob));
  }
  AVSEAL_CHECK(write_key(directory, credentials, stored));
  return directory.write(files::state, as_bytes(render_state(stored.state)));
}

Result<StoredKey> read_key(const StateDirectory& directory, const std::filesystem::path& credentials) {
  if (!directory.has(files::state)) return errors::not_initialised(directory.path().string());
  StoredKey stored;
  AVSEAL_TRY(const Bytes text, directory.read(files::state, 4096));
  auto state = parse_state(as_text(text));
  if (!state) return errors::state_malformed((directory.path() / files::state).string(), state.error().detail);
  stored.state = std::move(*state);
  const std::string file = files::key(stored.state.generation);
  AVSEAL_TRY(const Bytes bytes, directory.read(file, tpm::key_blob_max_size));
  const std::string path = (directory.path() / file).string();
  auto blob = tpm::unmarshal_key_blob(bytes);
  if (!blob) return errors::state_malformed(path, blob.error().detail);
  stored.blob = std::move(*blob);
  const auto name = tpm::name_of(stored.blob.public_area);
  if (!name || *name != stored.state.ue_key_name ||
      !tpm::matches_template(stored.blob.public_area, tpm::ue_key_template())) {
    return errors::key_mismatch(path);
  }
  AVSEAL_TRY(stored.auth, read_auth(directory, credentials, stored.state.generation));
  return stored;
}

Result<Parent> open_parent(tpm::Context& context, const DeviceState& state) {
  AVSEAL_TRY(tpm::Primary srk, pinned_srk(context, state));
  AVSEAL_TRY(tpm::Session session, tpm::Session::start(context, srk.handle, state.srk_name));
  return Parent{std::move(srk.handle), srk.public_area, std::move(session)};
}

Result<tpm::LoadedKey> load(tpm::Context& context, const StoredKey& stored) {
  AVSEAL_TRY(Parent parent, open_parent(context, stored.state));
  AVSEAL_TRY(tpm::Handle key, tpm::load_ue_key(context, parent.srk, parent.session, stored.blob, stored.auth));
  return tpm::LoadedKey{std::move(parent.srk), std::move(parent.session), std::move(key)};
}

}  // namespace avseal::device
