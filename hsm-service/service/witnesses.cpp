#include "service/witnesses.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <fmt/format.h>
#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <spdlog/spdlog.h>

#include "http/client.hpp"
#include "service/events.hpp"
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

Error refused_by(std::string_view reason, std::string detail) {
  return errors::make(Category::unavailable, reason, std::move(detail));
}

// One witness, as far as this log knows it.
struct Peer {
  WitnessConfig config;
  prometheus::Gauge& size;
  std::string origin;            // of the log that known_size is about
  std::uint64_t known_size = 0;  // what it cosigned last
  bool cosigned = false;         // the checkpoint of that size
  std::chrono::milliseconds pause{0};
  SteadyClock::time_point not_before{};
};

}  // namespace

class Witnesses::Feeder {
 public:
  Feeder(WitnessesConfig config, ledger::Ledger& ledger, ledger_http::Cosigned& cosigned,
         std::filesystem::path directory, asio::any_io_executor background, prometheus::Registry& metrics)
      : alarm_after_(config.alarm_after),
        ledger_(ledger),
        cosigned_(cosigned),
        files_(tlog::open_directory(std::move(directory))),
        background_(std::move(background)),
        failures_(prometheus::BuildCounter()
                      .Name("avseal_ledger_witness_failures_total")
                      .Help("Checkpoints that a witness did not cosign, by witness and reason.")
                      .Register(metrics)),
        unwitnessed_(prometheus::BuildGauge()
                         .Name("avseal_ledger_unwitnessed_seconds")
                         .Help("Since when the log has grown without any witness having seen it; 0: one has.")
                         .Register(metrics)
                         .Add({})) {
    auto& sizes = prometheus::BuildGauge()
                      .Name("avseal_ledger_witness_size")
                      .Help("Size of the newest checkpoint that each witness cosigned.")
                      .Register(metrics);
    for (auto& witness : config.witnesses) {
      auto& size = sizes.Add({{"witness", witness.key.name()}});
      peers_.push_back(Peer{std::move(witness), size, {}, 0, false, {}, {}});
    }
    tell_who_is_at_hand();
  }

  void start(asio::io_context& context) {
    for (auto& peer : peers_) asio::co_spawn(context, follow(peer), asio::detached);
    asio::co_spawn(context, watch(), asio::detached);
  }

 private:
  asio::awaitable<void> follow(Peer& peer) {
    asio::steady_timer timer(co_await asio::this_coro::executor);
    for (;;) {
      timer.expires_after(poll_interval);
      co_await timer.async_wait(asio::use_awaitable);
      const auto published = ledger_.published();
      if (published) co_await feed(peer, *published);
    }
  }

  // Has the witness sign the published checkpoint, if it is due.
  asio::awaitable<void> feed(Peer& peer, const ledger::Published& head) {
    if (peer.origin != head.origin) {
      peer.origin = head.origin;
      peer.known_size = 0;
      peer.cosigned = false;
    }
    if ((peer.cosigned && peer.known_size == head.size) || SteadyClock::now() < peer.not_before) co_return;
    const auto published_at = SteadyClock::now();  // or before
    auto signature = co_await submit(peer, head);
    peer.pause = signature ? std::chrono::milliseconds{} : std::clamp(peer.pause * 2, first_pause, longest_pause);
    tell_who_is_at_hand();
    if (signature) {
      seen_ = std::max(seen_, published_at);
      peer.size.Set(static_cast<double>(head.size));
      cosigned_.add(head, *signature);
      ledger_.cosigned(head, {std::move(*signature)});
      co_return;
    }
    peer.not_before = SteadyClock::now() + peer.pause;
    const auto& error = signature.error();
    failures_.Add({{"reason", std::string(error.reason)}, {"witness", peer.config.key.name()}}).Increment();
    spdlog::warn("event=not-witnessed witness={} size={} reason={} detail={}", peer.config.key.name(), head.size,
                 error.reason, log_value(error.detail));
  }

  // Once more from where the witness says that it stands.
  asio::awaitable<Result<tlog::NoteSignature>> submit(Peer& peer, const ledger::Published& head) {
    for (int attempt = 0;; ++attempt) {
      AVSEAL_CO_TRY(auto answer, co_await ask(peer, head));
      if (answer.status == 200) co_return accept(peer, head, answer.body);
      if (answer.status == 422) {
        co_return refused_by("witness-inconsistent",
                             fmt::format("{} says that this log does not go on from size {}, which it cosigned: two "
                                         "histories; keep the ledger's directory and ask for the witness's checkpoint",
                                         peer.config.url, peer.known_size));
      }
      if (answer.status != 409 || attempt != 0) {
        co_return refused_by("witness-refused", fmt::format("{} answers {}", peer.config.url, answer.status));
      }
      AVSEAL_CO_CHECK(go_on_from(peer, head, answer.body));
    }
  }

  asio::awaitable<Result<http::ClientResponse>> ask(const Peer& peer, const ledger::Published& head) {
    AVSEAL_CO_TRY(auto note, tlog::Note::parse(head.note));
    tlog::TileNodes nodes(head.size, [this](const tlog::TileName& name) { return files_->tile(name); });
    tlog::AddCheckpoint request{peer.known_size, {}, std::move(note)};
    if (peer.known_size != 0) {
      AVSEAL_CO_TRY(request.proof, tlog::consistency_proof(peer.known_size, head.size, std::ref(nodes)));
    }
    http::ClientConfig client;
    client.anchors = peer.config.anchors;
    client.timeout = exchange_limit;
    http::Headers headers{{"content-type", "text/plain; charset=utf-8"}};
    std::string url = peer.config.url + "/add-checkpoint";
    std::string body = request.to_string();
    co_return co_await http::fetch(client, http::Method::post, std::move(url), std::move(headers), std::move(body));
  }

  static Result<tlog::NoteSignature> accept(Peer& peer, const ledger::Published& head, std::string_view body) {
    AVSEAL_TRY(const auto lines, tlog::parse_cosignatures(body));
    AVSEAL_TRY(const auto note, tlog::Note::parse(head.note));
    for (const auto& line : lines) {
      if (!peer.config.key.made(line)) continue;
      AVSEAL_CHECK(peer.config.key.verify(note.text, line.bytes));
      peer.known_size = head.size;
      peer.cosigned = true;
      return line;
    }
    return refused_by("witness-refused", "the answer has no signature of the configured key " + peer.config.key.text());
  }

  static Result<void> go_on_from(Peer& peer, const ledger::Published& head, std::string_view body) {
    if (body.ends_with('\n')) body.remove_suffix(1);
    AVSEAL_TRY(peer.known_size, tlog::parse_size(body));
    peer.cosigned = false;
    if (peer.known_size <= head.size) return {};
    const auto size = std::exchange(peer.known_size, 0);
    return refused_by("witness-ahead",
                      fmt::format("{} cosigned a checkpoint of {} entries, this log has {}: entries were lost, or the "
                                  "directory was set back to an older copy",
                                  peer.config.url, size, head.size));
  }

  void tell_who_is_at_hand() {
    std::vector<tlog::VerifierKey> keys;
    for (const auto& peer : peers_) {
      if (peer.pause.count() == 0) keys.push_back(peer.config.key);
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
    const auto saw_it = [&](const Peer& peer) { return peer.cosigned && peer.known_size == head.size; };
    if (std::any_of(peers_.begin(), peers_.end(), saw_it)) seen_ = now;
    unwitnessed_.Set(std::chrono::duration<double>(now - seen_).count());
    const bool alarm = now - seen_ >= alarm_after_;
    if (alarm != std::exchange(alarmed_, alarm)) tell(alarm ? "ledger.unwitnessed" : "ledger.witnessed", head);
  }

  void tell(const std::string& event, const ledger::Published& head) {
    spdlog::log(event == "ledger.unwitnessed" ? spdlog::level::err : spdlog::level::info, "event={} size={}", event,
                head.size);
    asio::co_spawn(background_, log_leaf(ledger_, event, {{"size", head.size}}), asio::detached);
  }

  const std::chrono::seconds alarm_after_;
  ledger::Ledger& ledger_;
  ledger_http::Cosigned& cosigned_;
  const std::unique_ptr<tlog::Source> files_;
  const asio::any_io_executor background_;
  prometheus::Family<prometheus::Counter>& failures_;
  prometheus::Gauge& unwitnessed_;
  std::vector<Peer> peers_;
  SteadyClock::time_point seen_ = SteadyClock::now();  // the newest checkpoint by a witness
  bool alarmed_ = false;
};

Witnesses::Witnesses(WitnessesConfig config, ledger::Ledger& ledger, ledger_http::Cosigned& cosigned,
                     std::filesystem::path directory, asio::any_io_executor background, prometheus::Registry& metrics)
    : feeder_(std::make_unique<Feeder>(std::move(config), ledger, cosigned, std::move(directory), std::move(background),
                                       metrics)) {
  feeder_->start(context_);
  thread_ = std::thread([this] { context_.run(); });
}

Witnesses::~Witnesses() {
  context_.stop();
  thread_.join();
}

}  // namespace avseal::service
