#pragma once

#include "dac/content_store.hpp"
#include "dac/metadata_signer.hpp"
#include "http/router.hpp"

namespace avseal::dac {

struct Dependencies {
  keyring::Keyring& keyring;
  ledger::Ledger& ledger;
  store::Avatars& avatars;
  Clock clock;
};

// The avatar repository. Feeders stage content, publish and withdraw avatars of owners in their scope; XR ASs read with
// an access token. One instance per io thread; config and dependencies outlive it.
class Role {
 public:
  Role(const Config& config, Dependencies dependencies, prometheus::Registry& metrics);
  void add_routes(http::Router& router);
  // Other issuers from now on; on the io thread.
  void use_issuers(std::vector<Issuer> issuers) { config_.issuers = std::move(issuers); }

 private:
  using Answer = boost::asio::awaitable<Result<http::Response>>;
  Answer put_content(http::Request& request);
  Answer get_avatar(http::Request& request);
  Answer put_avatar(http::Request& request);
  Answer delete_avatar(http::Request& request);
  Answer get_metadata(http::Request& request);
  Answer get_content(http::Request& request);

  // The published avatar that the request's access token allows to read.
  boost::asio::awaitable<Result<store::AvatarRecord>> readable(const http::Request& request);
  // The avatar in the path, if there is one; "avatar-other-owner" unless the feeder's scope covers its owner.
  boost::asio::awaitable<Result<std::optional<store::AvatarRecord>>> writable(const http::Request& request);
  // The record of a new version over staged content, or over that of the current version, its data key bound to the
  // version.
  boost::asio::awaitable<Result<store::AvatarRecord>> prepare(const http::Request& request,
                                                              std::optional<store::AvatarRecord> current,
                                                              const Publication& publication, std::int64_t version);
  boost::asio::awaitable<Result<http::Response>> send_content(store::AvatarRecord record, const http::Request& request);
  // Writes the leaf of an administrative act; the act follows, so that nothing takes effect unlogged.
  boost::asio::awaitable<Result<void>> log(ledger::Event event);

  Config config_;
  Dependencies with_;
  MetadataSigner metadata_;
  ContentStore contents_;
  prometheus::Counter& published_;
  prometheus::Counter& withdrawn_;
};

}  // namespace avseal::dac
