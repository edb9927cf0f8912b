#pragma once

#include "ledger/completion.hpp"
#include "service/key_states.hpp"
#include "service/reload.hpp"
#include "store/interfaces.hpp"

namespace avseal::service {

// States of logical keys in a running node. Changes happen on the reloader's thread, one after the other and never
// during a reload.
class KeyChanges {
 public:
  KeyChanges(Shared& shared, Control& control, Reloader& reloader, store::KeyStates& states)
      : shared_(shared), control_(control), reloader_(reloader), states_(states) {}

  // {"keys": [{"name", "kind", "state", ...}]}, with what `keyring` has of them.
  boost::asio::awaitable<Result<boost::json::object>> list(const keyring::Keyring& keyring);

  // Brings a key to the state, in store and keyrings, after its leaf `event`; where it is in it already, other io
  // threads and nodes may not know, and the keyrings take the states again. Errors of transition(), and for an active
  // key those of its certificate, of a test signature on each of its tokens ("key-probe-failed"), and of those who
  // verify: "x5u-unreachable", "x5u-differs", "issuer-key-unknown".
  boost::asio::awaitable<Result<void>> put(KeyChange change, ledger::Event event);

 private:
  Result<void> apply(KeyChange change, ledger::Event event);
  Result<void> check_usable(const Config& config, const std::vector<keyring::KeyConfig>& keys, const std::string& name);
  Result<void> check_signs(const std::string& name);
  Result<void> check_x5u(const signing::Config& config, const std::vector<tokens::Certificate>& chain);
  template <class T>
  Result<T> wait(boost::asio::awaitable<Result<T>> task);

  Shared& shared_;
  Control& control_;
  Reloader& reloader_;
  store::KeyStates& states_;
};

// Longest lifetime of what keys of the kind sign, seconds; a century for ledger and dac-kek, whose work is never over.
std::int64_t overlap_of(keyring::KeyKind kind, const Config& config);

}  // namespace avseal::service
