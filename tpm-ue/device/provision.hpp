// The key of a state directory: made once, read by every process.
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

// SRK (checked against the pinned Name), session, key.
Result<tpm::LoadedKey> load(tpm::Context& context, const StoredKey& key);

}  // namespace avseal::device
