#pragma once

#include <span>

#include "keyring/keys.hpp"

namespace avseal::keyring {

// What every verifier of the key's kind will demand of its certificate; found out here instead of there. Errors name
// key and file.
Result<void> check_suitable(const KeyConfig& key, const tokens::Certificate& leaf);  // "certificate-unsuitable"

// "certificate-expired", "certificate-not-yet-valid".
Result<void> check_validity(const KeyConfig& key, const tokens::Certificate& leaf, UnixSeconds now);

// Each certificate was issued by the next one. "certificate-chain-order".
Result<void> check_chain(const KeyConfig& key, std::span<const tokens::Certificate> chain);

// What Keys::load() would say before it is known which keys sign: everything but validity and equal keys. Gives all
// keys that have a public key, whatever their state.
Result<std::vector<SigningKey>> check_keys(const std::vector<KeyConfig>& keys);

}  // namespace avseal::keyring
