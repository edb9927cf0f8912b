#include "service/witnesses.hpp"

#include <list>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <fmt/format.h>
#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <spdlog/spdlog.h>

#include "http/client.hpp"
#include "ledger/period.hpp"
#include "service/log.hpp"
#include "tlog/source.hpp"
#include "tlog/tile.hpp"
#include "tlog/witness.hpp"

namespace avseal::service {

namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using SteadyClock = std::chrono::steady_clock;

constexpr auto poll_interval = 250ms;
constexpr auto exchange_limit = 5s;
constexpr std::chrono::milliseconds first_pause{1000};
constexpr std::chrono::milliseconds longest_pause{60'000};
constexpr std::chrono::milliseconds longest_pause_of_closed{3'600'000};

Error refused_by(std::string_view reason, std::string detail) {
  return errors::make(Category::unavailable, reason, std::move(detail));
}

// Where a witness stands with one log, as far as is known.
struct Standing {
  std::string origin;
  std::uint64_t known_size = 0;  // what it cosigned last
  bool cosigned = false;         // the checkpoint of that size
  std::chrono::milliseconds pause{0};
  SteadyClock::time_point not_before{};
};

struct Peer {
  Peer(WitnessConfig with, prometheus::Gauge& gauge) : config(std::move(with)), size(gauge) {}
  const WitnessConfig config;
  prometheus::Gauge& size;
  Standing current;
  Standing closed;                // with the log before
  asio::thread_pool exchange{1};  // a context looks names up one after the other
};

bool has_cosigned(const Peer& peer, const ledger::Published& head) {
  const auto note = tlog::Note::parse(head.note);
  return note && std::any_of(note->signatures.begin(), note->signatures.end(),
                             [&](const auto& signature) { return peer.config.key.made(signature); });
}

}  // namespace

class Witnesses::Feeder {
 public:
  Feeder(WitnessesConfig config, ledger::Ledger& ledger, ledger_http::Cosigned& cosigned,
         std::filesystem::path directory, OwnLeaves& leaves, prometheus::Registry& metrics)
      : alarm_after_(config.alarm_after),
        ledger_(ledger),
        cosigned_(cosigned),
        directory_(std::move(directory)),
        leaves_(leaves),
        failures_(prometheus::BuildCounter()
                      .Name("avseal_ledger_witness_failures_total")
                      .Help("Checkpoints that a witness did not cosign, by witness and reason.")
                      .Register(metrics)),
        unwitnessed_(prometheus::BuildGauge()
                         .Name("avseal_ledger_unwitnessed_seconds")
                         .Help("Since when the log has grown without any witness having seen it; 0: one has.")
                         .Register(metrics)
                         .Add({})),
        alarm_(prometheus::BuildGauge()
                   .Name("avseal_ledger_unwitnessed_alarm")
                   .Help("1: no witness has seen the log grow for witness_alarm_seconds.")
                   .Register(metrics)
                   .Add({})) {
    auto& sizes = prometheus::BuildGauge()
                      .Name("avseal_ledger_witness_size")
                      .Help("Size of the newest checkpoint that each witness cosigned.")
                      .Register(metrics);
    for (auto& witness : config.witnesses) {
      auto& size = sizes.Add({{"witness", witness.key.name()}});
      peers_.emplace_back(std::move(witness), size);
    }
    tell_who_is_at_hand();
  }

  void start(asio::io_context& context) {
    for (auto& peer : peers_) asio::co_spawn(context, follow(peer), asio::detached);
    asio::co_spawn(context, watch(), asio::detached);
  }
  void stop() {
    for (auto& peer : peers_) peer.exchange.stop();
  }

 private:
  asio::awaitable<void> follow(Peer& peer) {
    asio::steady_timer timer(co_await asio::this_coro::executor);
    for (;;) {
      timer.expires_after(poll_interval);
      co_await timer.async_wait(asio::use_awaitable);
      if (const auto published = ledger_.published()) co_await feed(peer, *published);
      const auto closed = ledger_.closed();
      if (closed && !has_cosigned(peer, *closed)) co_await feed_closed(peer, *closed);
    }
  }

  // Has the witness sign the published checkpoint, if it is due.
  asio::awaitable<void> feed(Peer& peer, const ledger::Published& head) {
    auto& standing = peer.current;
    if (!is_due(standing, head)) co_return;
    const auto published_at = SteadyClock::now();  // or before
    auto signature = co_await submit(peer, standing, head);
    if (!signature) wait_after(peer, standing, head, signature.error(), longest_pause);
    tell_who_is_at_hand();
    if (!signature) co_return;
    seen_ = std::max(seen_, published_at);
    peer.size.Set(static_cast<double>(head.size));
    cosigned_.add(head, *signature);
    ledger_.cosigned(head, {std::move(*signature)});
  }

  // The last checkpoint of a closed log: asked for until its signature stands there.
  asio::awaitable<void> feed_closed(Peer& peer, const ledger::Published& head) {
    auto& standing = peer.closed;
    if (!is_due(standing, head)) co_return;
    auto signature = co_await submit(peer, standing, head);
    if (!signature) {
      wait_after(peer, standing, head, signature.error(), longest_pause_of_closed);
      co_return;
    }
    standing.cosigned = false;
    standing.not_before = SteadyClock::now() + longest_pause;
    ledger_.cosigned(head, {std::move(*signature)});
  }

  static bool is_due(Standing& standing, const ledger::Published& head) {
    if (standing.origin != head.origin) standing = {head.origin, 0, false, {}, {}};
    return !(standing.cosigned && standing.known_size == head.size) && SteadyClock::now() >= standing.not_before;
  }

  void wait_after(const Peer& peer, Standing& standing, const ledger::Published& head, const Error& error,
                  std::chrono::milliseconds longest) {
    standing.pause = std::clamp(standing.pause * 2, first_pause, longest);
    standing.not_before = SteadyClock::now() + standing.pause;
    failures_.Add({{"reason", std::string(error.reason)}, {"witness", peer.config.key.name()}}).Increment();
    spdlog::warn("event=not-witnessed witness={} log={} size={} reason={} detail={}", peer.config.key.name(),
                 head.origin, head.size, error.reason, log_value(error.detail));
  }

  // Once more from where the witness says that it stands.
  asio::awaitable<Result<tlog::NoteSignature>> submit(Peer& peer, Standing& standing, const ledger::Published& head) {
    for (int attempt = 0;; ++attempt) {
      AVSEAL_CO_TRY(auto answer, co_await ask(peer, standing, head));
      if (answer.status == 200) co_return accept(peer, standing, head, answer.body);
      if (answer.status == 422) {
        co_return refused_by("witness-inconsistent",
                             fmt::format("{} says that this log does not go on from size {}, which it cosigned: two "
                                         "histories; keep the ledger's directory and ask for the witness's checkpoint",
                                         peer.config.url, standing.known_size));
      }
      if (answer.status != 409 || attempt != 0) {
        co_return refused_by("witness-refused", fmt::format("{} answers {}", peer.config.url, answer.status));
      }
      AVSEAL_CO_CHECK(go_on_from(peer, standing, head, answer.body));
    }
  }

  asio::awaitable<Result<http::ClientResponse>> ask(Peer& peer, const Standing& standing,
                                                    const ledger::Published& head) {
    AVSEAL_CO_TRY(auto note, tlog::Note::parse(head.note));
    const auto files = tlog::open_directory(directory_of(head));
    tlog::TileNodes nodes(head.size, [&files](const tlog::TileName& name) { return files->tile(name); });
    tlog::AddCheckpoint request{standing.known_size, {}, std::move(note)};
    if (standing.known_size != 0) {
      AVSEAL_CO_TRY(request.proof, tlog::consistency_proof(standing.known_size, head.size, std::ref(nodes)));
    }
    http::ClientConfig client;
    client.anchors = peer.config.anchors;
    client.timeout = exchange_limit;
    http::Headers headers{{"content-type", "text/plain; charset=utf-8"}};
    std::string url = peer.config.url + "/add-checkpoint";
    std::string body = request.to_string();
    auto exchange = http::fetch(client, http::Method::post, std::move(url), std::move(headers), std::move(body));
    co_return co_await asio::co_spawn(peer.exchange, std::move(exchange), asio::use_awaitable);
  }

  static Result<tlog::NoteSignature> accept(const Peer& peer, Standing& standing, const ledger::Published& head,
                                            std::string_view body) {
    AVSEAL_TRY(const auto lines, tlog::parse_cosignatures(body));
    AVSEAL_TRY(const auto note, tlog::Note::parse(head.note));
    for (const auto& line : lines) {
      if (!peer.config.key.made(line)) continue;
      AVSEAL_CHECK(peer.config.key.verify(note.text, line.bytes));
      standing.known_size = head.size;
      standing.cosigned = true;
      standing.pause = {};
      return line;
    }
    return refused_by("witness-refused", "the answer has no signature of the configured key " + peer.config.key.text());
  }

  static Result<void> go_on_from(const Peer& peer, Standing& standing, const ledger::Published& head,
                                 std::string_view body) {
    if (body.ends_with('\n')) body.remove_suffix(1);
    AVSEAL_TRY(standing.known_size, tlog::parse_size(body));
    standing.cosigned = false;
    if (standing.known_size <= head.size) return {};
    const auto size = std::exchange(standing.known_size, 0);
    return refused_by("witness-ahead",
                      fmt::format("{} cosigned a checkpoint of {} entries, this log has {}: entries were lost, or the "
                                  "directory was set back to an older copy",
                                  peer.config.url, size, head.size));
  }

  [[nodiscard]] std::filesystem::path directory_of(const ledger::Published& head) const {
    if (head.origin == ledger_.origin()) return directory_;
    return ledger::closed_directory(directory_, ledger::year_of_log(head.origin));
  }

  void tell_who_is_at_hand() {
    std::vector<tlog::VerifierKey> keys;
    for (const auto& peer : peers_) {
      if (peer.current.pause.count() == 0) keys.push_back(peer.config.key);
    }
    cosigned_.use(std::move(keys));
  }

  asio::awaitable<void> watch() {
    asio::steady_timer timer(co_await asio::this_coro::executor);
    for (;;) {
      timer.expires_after(poll_interval);
      co_await timer.async_wait(asio::use_awaitable);
      const auto published = ledger_.published();
      if (published) judge(*published);
    }
  }

  void judge(const ledger::Published& head) {
    const auto now = SteadyClock::now();
    const auto saw_it = [&](const Peer& peer) { return peer.current.cosigned && peer.current.known_size == head.size; };
    if (std::any_of(peers_.begin(), peers_.end(), saw_it)) seen_ = now;
    unwitnessed_.Set(std::chrono::duration<double>(now - seen_).count());
    const bool alarm = now - seen_ >= alarm_after_;
    alarm_.Set(alarm ? 1 : 0);
    if (alarm != std::exchange(alarmed_, alarm)) tell(alarm ? "ledger.unwitnessed" : "ledger.witnessed", head);
  }

  void tell(const std::string& event, const ledger::Published& head) {
    spdlog::log(event == "ledger.unwitnessed" ? spdlog::level::err : spdlog::level::info, "event={} size={}", event,
                head.size);
    leaves_.tell(event, {{"size", head.size}});
  }

  const std::chrono::seconds alarm_after_;
  ledger::Ledger& ledger_;
  ledger_http::Cosigned& cosigned_;
  const std::filesystem::path directory_;
  OwnLeaves& leaves_;
  prometheus::Family<prometheus::Counter>& failures_;
  prometheus::Gauge& unwitnessed_;
  prometheus::Gauge& alarm_;
  std::list<Peer> peers_;
  SteadyClock::time_point seen_ = SteadyClock::now();  // the newest checkpoint by a witness
  bool alarmed_ = false;
};

Witnesses::Witnesses(WitnessesConfig config, ledger::Ledger& ledger, ledger_http::Cosigned& cosigned,
                     std::filesystem::path directory, OwnLeaves& leaves, prometheus::Registry& metrics)
    : feeder_(std::make_unique<Feeder>(std::move(config), ledger, cosigned, std::move(directory), leaves, metrics)) {
  feeder_->start(context_);
  thread_ = std::thread([this] { context_.run(); });
}

Witnesses::~Witnesses() {
  stop();
}

void Witnesses::stop() {
  if (!thread_.joinable()) return;
  context_.stop();
  thread_.join();
  feeder_->stop();
}

}  // namespace avseal::service
