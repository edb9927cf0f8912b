#pragma once

#include <unordered_map>

#include <prometheus/counter.h>

#include "dac/config.hpp"
#include "http/message.hpp"
#include "keyring/keyring.hpp"
#include "ledger/ledger.hpp"
#include "store/records.hpp"

namespace avseal::dac {

// Signs the metadata of the current version of an avatar, and hands the same signature out until half of its life is
// over or the key is replaced. One per io thread.
class MetadataSigner {
 public:
  MetadataSigner(const Config& config, keyring::Keyring& keyring, ledger::Ledger& ledger, Clock clock,
                 prometheus::Counter& signatures)
      : config_(config), keyring_(keyring), ledger_(ledger), clock_(std::move(clock)), signatures_(signatures) {}

  // A JWS of at least half of metadata_max_lifetime. Each signature is in the ledger ("sign.avatar-metadata") before it
  // is given out; the request's receipt names that leaf.
  boost::asio::awaitable<Result<std::string>> metadata(store::AvatarRecord record, const http::Request& request);

 private:
  struct Signed {
    std::int64_t version = 0;
    UnixSeconds iat = 0;
    UnixSeconds exp = 0;
    std::string kid;
    std::string jws;
    ledger::Position leaf;
  };
  boost::asio::awaitable<Result<Signed>> sign(store::AvatarRecord record, const http::Request& request);

  const Config& config_;
  keyring::Keyring& keyring_;
  ledger::Ledger& ledger_;
  Clock clock_;
  prometheus::Counter& signatures_;
  std::unordered_map<std::string, Signed> signed_;
};

}  // namespace avseal::dac
