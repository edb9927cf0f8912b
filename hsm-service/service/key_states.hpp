// What state each configured key is in, and which changes an operator may make.
#pragma once

#include "keyring/keys.hpp"
#include "store/records.hpp"

namespace avseal::service {

using store::KeyState;
using store::KeyStateRow;

// A key without a row has the state of the configuration: active if `primary` and the store says nothing of an active
// key of its kind, else verifying.
std::vector<KeyStateRow> states_of(const std::vector<keyring::KeyConfig>& keys, const std::vector<KeyStateRow>& rows);

// The configuration as the keyring takes it: `primary` is the active key, a ledger key that is verifying cosigns,
// retired ones are left out. Error "key-configuration" where the active key of a kind is not configured.
Result<std::vector<keyring::KeyConfig>> with_states(std::vector<keyring::KeyConfig> keys,
                                                    const std::vector<KeyStateRow>& rows);

std::vector<std::string> retired_keys(const std::vector<KeyStateRow>& rows);  // names

// The rows after a change.
std::vector<KeyStateRow> merged(std::vector<KeyStateRow> before, const std::vector<KeyStateRow>& changed);

struct KeyChange {
  std::string name;
  KeyState to = KeyState::staged;
  UnixSeconds now = 0;
  std::string actor;
  std::string reason;        // not empty: retire although the overlap is not over
  std::int64_t overlap = 0;  // longest lifetime of what keys of the kind sign, seconds
};

// The rows to write, none if the key is in that state already. verifying -> staged -> active -> (when another becomes
// active) verifying -> retired; a staged one may be retired too. Errors "key-unknown", "key-transition",
// "key-overlap".
Result<std::vector<KeyStateRow>> transition(const std::vector<keyring::KeyConfig>& keys,
                                            const std::vector<KeyStateRow>& rows, const KeyChange& change);

}  // namespace avseal::service
