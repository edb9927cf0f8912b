#pragma once

#include <functional>

#include <prometheus/counter.h>
#include <prometheus/registry.h>

#include "http/message.hpp"
#include "keyring/keyring.hpp"
#include "ledger/ledger.hpp"
#include "store/interfaces.hpp"
#include "tokens/certificate_request.hpp"

namespace avseal::enrollment {

// What a UE certificate is to be made of, and what the ledger shall say of it.
struct Wanted {
  const tokens::PublicKey& key;
  const tokens::Impu& impu;
  Bytes serial;
  std::int64_t lifetime = 0;    // seconds
  boost::json::object details;  // serial, key and end are added
};

Bytes new_serial();

// A code is spent before anything is signed, so that it never yields two certificates, and given back when none was
// released; only a crash in between, or a store that fails, costs the user a new code. Gives the error, which says so.
boost::asio::awaitable<Error> give_back(store::EnrolmentCodes& codes, store::EnrolmentCode code, Error error);

// Makes UE certificates with the key of kind ue-ca. One per io thread.
class Issuer {
 public:
  using Keep = std::function<boost::asio::awaitable<Result<void>>(const tokens::Certificate&)>;

  Issuer(keyring::Keyring& keyring, ledger::Ledger& ledger, Clock clock, prometheus::Registry& metrics);

  // Nothing is released that the ledger does not hold, or that `keep` could not remember. Reasons of the keyring and
  // the ledger, those of `keep`, "certificate-expired" of the CA's own.
  boost::asio::awaitable<Result<tokens::Certificate>> issue(Wanted wanted, const http::Request& request, Keep keep);

  // The certificate and those above it, as an answer has them.
  [[nodiscard]] Result<boost::json::array> chain_of(const tokens::Certificate& certificate) const;

 private:
  keyring::Keyring& keyring_;
  ledger::Ledger& ledger_;
  Clock clock_;
  prometheus::Counter& issued_;
};

}  // namespace avseal::enrollment
