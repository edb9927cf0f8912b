#pragma once

#include "service/config.hpp"

namespace avseal::service {

// Starts avseald, serves until SIGTERM or SIGINT, drains, and leaves. Start order: the store's file, ledger (its head
// is verified before any worker logs in), workers, keyring, row key, store, listener, then READY=1 to the service
// manager. The error is the one clear sentence why the start stopped.
Result<void> run(Config config);

}  // namespace avseal::service
