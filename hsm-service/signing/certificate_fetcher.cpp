#include "signing/certificate_fetcher.hpp"

#include <algorithm>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "signing/x5u.hpp"

namespace avseal::signing {
namespace {

namespace asio = boost::asio;

Error unfetched(std::string_view reason, std::string detail) {
  return errors::make(Category::invalid, reason, std::move(detail));
}

Result<Chain> chain_of(const Result<http::ClientResponse>& answer) {
  if (!answer) {
    return unfetched("x5u-unreachable", "the signer's certificate could not be fetched: " +
                                            std::string(answer.error().reason) + ": " + answer.error().detail);
  }
  if (answer->status != 200) {
    return unfetched("x5u-status",
                     "expected 200 for the signer's certificate, found " + std::to_string(answer->status));
  }
  auto chain = tokens::Certificate::chain_from_pem(answer->body);
  if (!chain) return unfetched("x5u-content", "expected PEM certificates: " + chain.error().detail);
  return Chain(std::make_shared<std::vector<tokens::Certificate>>(std::move(*chain)));
}

}  // namespace

CertificateFetcher::CertificateFetcher(FetcherConfig config, Clock clock, Exchange exchange)
    : config_(std::move(config)), clock_(std::move(clock)), exchange_(std::move(exchange)) {}

asio::awaitable<Result<http::ClientResponse>> CertificateFetcher::get(const http::ClientConfig& config,
                                                                      std::string url) {
  http::Headers headers{{"accept", "application/pem-certificate-chain, application/x-pem-file"}};
  std::string body;
  auto answer = co_await http::fetch(config, http::Method::get, std::move(url), std::move(headers), std::move(body));
  co_return answer;
}

asio::awaitable<Result<Chain>> CertificateFetcher::fetch(std::string url) {
  AVSEAL_CO_TRY(const X5uHost host, check_x5u(url, config_.hosts, config_.internal_hosts));
  const auto executor = co_await asio::this_coro::executor;
  auto waiter = std::make_shared<asio::steady_timer>(executor, asio::steady_timer::time_point::max());
  std::shared_ptr<Entry> entry;
  bool first = false;
  {
    const std::lock_guard lock(mutex_);
    const auto now = clock_();
    auto found = entries_.find(url);
    if (found != entries_.end() && found->second->outcome && found->second->expires <= now) {
      entries_.erase(found);
      found = entries_.end();
    }
    first = found == entries_.end();
    if (first) {
      auto added = add_entry(url, now);
      if (!added) co_return added.error();
      entry = std::move(*added);
    } else {
      entry = found->second;
      if (entry->outcome) co_return *entry->outcome;
    }
    entry->waiters.push_back(waiter);
  }
  // Not in this coroutine: a caller whose deadline passes must not take the exchange away from the others.
  if (first) asio::co_spawn(executor, run(shared_from_this(), url, entry, host.internal), asio::detached);
  auto token = asio::as_tuple(asio::use_awaitable);
  co_await waiter->async_wait(token);
  const std::lock_guard lock(mutex_);
  if (entry->outcome) co_return *entry->outcome;
  co_return errors::make(Category::timeout, "deadline", "the request ended before the signer's certificate came");
}

asio::awaitable<void> CertificateFetcher::run(std::shared_ptr<CertificateFetcher> self, std::string url,
                                              std::shared_ptr<Entry> entry, bool internal) {
  http::ClientConfig client;
  client.anchors = self->config_.tls_anchors;
  client.timeout = self->config_.timeout;
  client.max_body = self->config_.max_body;
  if (!internal) client.address_allowed = is_public_address;
  auto answer = co_await self->exchange_(client, std::move(url));
  self->finish(*entry, chain_of(answer));
}

// With mutex_ held. Makes room by dropping what has expired, then what would expire next; never what is in flight.
Result<std::shared_ptr<CertificateFetcher::Entry>> CertificateFetcher::add_entry(const std::string& url,
                                                                                 TimePoint now) {
  if (in_flight_ >= config_.max_in_flight) {
    auto error = errors::make(Category::unavailable, "certificate-fetcher-busy",
                              "too many certificates are being fetched at the moment");
    error.retry_after = std::chrono::seconds{1};
    return error;
  }
  if (entries_.size() >= config_.max_entries) {
    std::erase_if(entries_, [&](const auto& item) { return item.second->outcome && item.second->expires <= now; });
  }
  if (entries_.size() >= config_.max_entries) {
    const auto next = std::min_element(entries_.begin(), entries_.end(), [](const auto& a, const auto& b) {
      const bool a_done = a.second->outcome.has_value();
      const bool b_done = b.second->outcome.has_value();
      return a_done != b_done ? a_done : a.second->expires < b.second->expires;
    });
    if (next != entries_.end() && next->second->outcome) entries_.erase(next);
  }
  auto entry = std::make_shared<Entry>();
  entries_.emplace(url, entry);
  ++in_flight_;
  return entry;
}

void CertificateFetcher::finish(Entry& entry, Result<Chain> outcome) {
  std::vector<std::shared_ptr<asio::steady_timer>> waiters;
  {
    const std::lock_guard lock(mutex_);
    entry.expires = clock_() + (outcome ? config_.lifetime : config_.negative_lifetime);
    entry.outcome = std::move(outcome);
    waiters.swap(entry.waiters);
    --in_flight_;
  }
  for (auto& waiter : waiters) {
    const auto executor = waiter->get_executor();
    // An expiry in the past also ends a wait that is yet to start.
    asio::post(executor, [waiter] { waiter->expires_at(asio::steady_timer::time_point::min()); });
  }
}

}  // namespace avseal::signing
