#pragma once

#include <mutex>
#include <unordered_map>

#include <boost/asio/steady_timer.hpp>

#include "http/client.hpp"
#include "signing/config.hpp"
#include "tokens/certificate.hpp"
#include "tokens/clock.hpp"

namespace avseal::signing {

using Chain = std::shared_ptr<const std::vector<tokens::Certificate>>;  // leaf first, never empty

// Fetches the certificate chains that PASSporTs name. Shared by the io threads: one exchange per URL at a time, answers
// and failures kept for a while, each caller resumed on its own executor.
class CertificateFetcher : public std::enable_shared_from_this<CertificateFetcher> {
 public:
  using Exchange =
      std::function<boost::asio::awaitable<Result<http::ClientResponse>>(const http::ClientConfig&, std::string)>;

  // exchange: one GET without redirects; http::fetch outside of tests.
  CertificateFetcher(FetcherConfig config, Clock clock, Exchange exchange = get);

  // Reasons: those of check_x5u, "x5u-unreachable" (no answer, refused address, time-out, too large), "x5u-status" (not
  // 200), "x5u-content" (no PEM certificates); all `invalid`, for the PASSporT is what is wrong.
  // "certificate-fetcher-busy" is `unavailable`.
  boost::asio::awaitable<Result<Chain>> fetch(std::string url);

  static boost::asio::awaitable<Result<http::ClientResponse>> get(const http::ClientConfig& config, std::string url);

 private:
  using TimePoint = std::chrono::system_clock::time_point;
  struct Entry {
    std::optional<Result<Chain>> outcome;  // absent: in flight
    TimePoint expires;
    std::vector<std::shared_ptr<boost::asio::steady_timer>> waiters;
  };

  static boost::asio::awaitable<void> run(std::shared_ptr<CertificateFetcher> self, std::string url,
                                          std::shared_ptr<Entry> entry, bool internal);
  Result<std::shared_ptr<Entry>> add_entry(const std::string& url, TimePoint now);
  void finish(Entry& entry, Result<Chain> outcome);

  const FetcherConfig config_;
  const Clock clock_;
  const Exchange exchange_;
  std::mutex mutex_;
  std::unordered_map<std::string, std::shared_ptr<Entry>> entries_;
  std::size_t in_flight_ = 0;
};

}  // namespace avseal::signing
