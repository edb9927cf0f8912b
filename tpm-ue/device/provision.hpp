// The keys of a state directory: made in the TPM, read by every process.
#pragma once

#include "device/state.hpp"
#include "tpm/worker.hpp"

namespace avseal::device {

// Makes SRK and UE key and stores them; the directory is locked by the caller and has no state.json.
// credentials: see DeviceConfig.
Result<void> provision(tpm::Context& context, const StateDirectory& directory,
                       const std::filesystem::path& credentials);

struct StoredKey {
  DeviceState state;
  tpm::KeyBlob blob;  // its Name is state.ue_key_name and it has the UE key's template
  Secret auth;
};
Result<StoredKey> read_key(const StateDirectory& directory, const std::filesystem::path& credentials);

// The auth value of a new key: that of the credential store, which then keeps it, or a random one.
Result<Secret> new_auth(const std::filesystem::path& credentials);
// Writes the files of a key that is not current yet; a credential's auth value is left where it is.
Result<void> write_key(const StateDirectory& directory, const std::filesystem::path& credentials, const StoredKey& key);

// The pinned SRK, at its place or made again; and a session salted with it, which compares its Name.
struct Parent {
  tpm::Handle srk;
  TPM2B_PUBLIC public_area;
  tpm::Session session;
};
Result<Parent> open_parent(tpm::Context& context, const DeviceState& state);

// SRK, session, key.
Result<tpm::LoadedKey> load(tpm::Context& context, const StoredKey& key);

}  // namespace avseal::device
