// Data keys under a key of kind dac-kek.
#pragma once

#include "keyring/pool.hpp"

namespace avseal::keyring {

// `key` is the key's index in the pool. The wrapped form names the key.
boost::asio::awaitable<Result<Bytes>> wrap(std::shared_ptr<Pool> pool, std::size_t key, const Secret& data_key,
                                           ByteView aad, Deadline deadline);
boost::asio::awaitable<Result<Secret>> unwrap(std::shared_ptr<Pool> pool, std::size_t key, ByteView wrapped,
                                              ByteView aad, Deadline deadline);

// The name of the key; "wrapped-key-malformed".
Result<std::string_view> wrapping_key(ByteView wrapped);

}  // namespace avseal::keyring
