#pragma once

#include <filesystem>

#include "keyring/keyring.hpp"

namespace avseal::service {

// The key that authenticates granting rows: unwrapped by the HSM's dac-kek from `file`, made there on the first start.
// A store without its key file is an error, for a new key would make every row look forged.
boost::asio::awaitable<Result<Secret>> load_row_key(keyring::Keyring& keyring, std::filesystem::path file,
                                                    bool store_exists, keyring::Deadline deadline);

}  // namespace avseal::service
