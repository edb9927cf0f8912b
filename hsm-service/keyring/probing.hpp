// Test signatures on request: which keys on which workers can do their work.
#pragma once

#include "keyring/pool.hpp"

namespace avseal::keyring {

boost::asio::awaitable<std::vector<KeyStatus>> probe_all(std::shared_ptr<Pool> pool);

}  // namespace avseal::keyring
