// Content of avatars: sealed while it is uploaded, verified segment by segment while it is read. Files and the cipher
// run on a thread of their own, so that a large avatar does not hold up signatures on the io thread.
#pragma once

#include <boost/asio/thread_pool.hpp>
#include <prometheus/counter.h>
#include <prometheus/registry.h>

#include "dac/config.hpp"
#include "dac/request_forms.hpp"
#include "dac/sealed_file.hpp"
#include "keyring/keyring.hpp"
#include "store/interfaces.hpp"

namespace avseal::dac {

// One per io thread.
class ContentStore {
 public:
  ContentStore(const Config& config, keyring::Keyring& keyring, store::Avatars& avatars, Clock clock,
               prometheus::Registry& metrics);

  struct Staged {
    store::StagedContent content;
    bool created = false;  // false: the same content was staged already
  };
  // Reads the request's whole stream. "content-digest-mismatch", "content-type-differs", "body-too-large",
  // "content-storage".
  boost::asio::awaitable<Result<Staged>> stage(http::Request& request, std::string avatar_id, tokens::Sha256 digest);

  // The data key of `from` (a published version) or of staged content, wrapped anew for the one version of the avatar
  // that it opens from now on.
  boost::asio::awaitable<Result<Bytes>> rebind_key(store::AvatarRecord from, std::int64_t version,
                                                   http::Deadline deadline);
  boost::asio::awaitable<Result<Bytes>> bind_key(store::StagedContent staged, std::int64_t version,
                                                 http::Deadline deadline);

  // The range of the record's content, or all. Its first segment is verified before this returns; an altered later one
  // ends the stream with "content-altered".
  boost::asio::awaitable<Result<std::unique_ptr<http::BodySource>>> read(store::AvatarRecord record, ByteRange range,
                                                                         http::Deadline deadline);

  boost::asio::awaitable<void> remove(std::string file);

 private:
  boost::asio::awaitable<Result<std::unique_ptr<SealedWriter>>> receive(http::BodyReader& stream, const Secret& key,
                                                                        std::string avatar_id, tokens::Sha256 digest);
  boost::asio::awaitable<Result<void>> discard(http::BodyReader& stream, tokens::Sha256 digest);
  boost::asio::awaitable<Result<Bytes>> rewrap(Bytes wrapped, std::string from_aad, std::string to_aad,
                                               http::Deadline deadline);

  const Config& config_;
  keyring::Keyring& keyring_;
  store::Avatars& avatars_;
  Clock clock_;
  prometheus::Counter& altered_;
  prometheus::Counter& served_bytes_;
  boost::asio::thread_pool disk_{1};
};

// Deletes what no row of the store names: uploads that a crash interrupted, content that was replaced. Before the first
// request only; gives how many files.
boost::asio::awaitable<Result<std::size_t>> remove_orphans(const Config& config, store::Avatars& avatars);

// Deletes content that was staged longer ago than staged_max_age. For a timer of the service.
boost::asio::awaitable<Result<std::size_t>> expire_staged(const Config& config, store::Avatars& avatars,
                                                          UnixSeconds now);

}  // namespace avseal::dac
