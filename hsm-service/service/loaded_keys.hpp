#pragma once

#include "service/config.hpp"
#include "service/key_states.hpp"

namespace avseal::service {

// The leaf "keys.loaded": which keys may sign from now on, in which state, for whoever reconciles the uses of keys.
// details.unlogged_limit: so many signatures of one worker may be made and have no leaf yet.
ledger::Event keys_loaded(const Config& config, const std::vector<KeyStateRow>& rows, const keyring::Keys& keys);

}  // namespace avseal::service
