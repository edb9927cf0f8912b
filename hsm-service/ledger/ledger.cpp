#include "ledger/ledger.hpp"

#include <future>

#include "ledger/errors.hpp"
#include "ledger/pending.hpp"
#include "tokens/base64.hpp"

namespace avseal::ledger {

namespace {

namespace asio = boost::asio;

constexpr std::size_t id_size = 16;

class NodeLedger final : public Ledger {
 public:
  NodeLedger(std::shared_ptr<Writer> writer, const Config& config, std::shared_ptr<Metrics> metrics)
      : origin_(config.origin),
        writer_(std::move(writer)),
        metrics_(std::move(metrics)),
        limiter_(config.refusals_per_second, config.refusal_burst) {}
  NodeLedger(const NodeLedger&) = delete;
  NodeLedger& operator=(const NodeLedger&) = delete;
  ~NodeLedger() override { stop(); }

  void use_subject_keys(SubjectKeys& keys) override { subject_keys_ = &keys; }
  void use_signer(CheckpointSigner*) override {}

  asio::awaitable<Result<Slot>> open_slot(Event event) override {
    auto place = writer_->reserve();
    if (!place) {
      count(metrics_->not_opened, place.error().reason);
      co_return place.error();
    }
    AVSEAL_CO_TRY(auto text, co_await describe(event));
    auto pending = std::make_unique<Pending>(Pending{writer_, std::move(*place), std::move(text), {}, 0});
    co_return make_slot(std::move(pending));
  }

  asio::awaitable<void> refused(Event event, std::string reason) override {
    if (event.client.empty() || !may_have_leaf(event.client)) {
      count(metrics_->refusals, reason);
      writer_->count_refusal(event.client, reason);
      co_return;
    }
    count(metrics_->refusals, reason);
    const std::string client = event.client;
    auto slot = co_await open_slot(std::move(event));
    if (!slot) {
      writer_->count_refusal(client, reason);
      co_return;
    }
    co_await slot->commit(Outcome::refused, reason);
  }

  void count_unauthenticated(std::string_view reason) override {
    count(metrics_->refusals, reason);
    writer_->count_refusal({}, reason);
  }

  [[nodiscard]] std::optional<Published> published() const override { return std::nullopt; }
  asio::awaitable<Result<Published>> covered(std::uint64_t index, std::chrono::steady_clock::time_point) override {
    if (index >= size()) co_return errors::index_unknown(index, size());
    co_return errors::not_covered(index);
  }
  [[nodiscard]] std::string origin() const override { return origin_; }
  [[nodiscard]] std::uint64_t size() const override { return writer_->size(); }
  [[nodiscard]] Result<void> healthy() const override { return writer_->healthy(); }
  void close() override { stop(); }

  Result<void> log_start(const TornTail& torn);

 private:
  asio::awaitable<Result<EventText>> describe(const Event& event);
  bool may_have_leaf(const std::string& client);
  void stop();

  const std::string origin_;
  const std::shared_ptr<Writer> writer_;
  const std::shared_ptr<Metrics> metrics_;
  SubjectKeys* subject_keys_ = nullptr;
  std::mutex limiter_mutex_;
  RefusalLimiter limiter_;
};

// The event's text for its leaf, with the subjects' tags.
asio::awaitable<Result<EventText>> NodeLedger::describe(const Event& event) {
  std::string id;
  std::vector<SubjectTag> tags;
  if (!event.subjects.empty()) {
    if (subject_keys_ == nullptr) co_return errors::stopped("no subject keys: use_subject_keys() was not called");
    id = tokens::base64url_encode(tokens::random_bytes(id_size));
  }
  for (const auto& subject : event.subjects) {
    AVSEAL_CO_TRY(const auto key, co_await subject_keys_->key_for(subject.value));
    tags.push_back({subject.role, subject_tag(key, origin_, event.type, subject.value, id)});
  }
  EventText text(event, id, tags);
  if (text.size() > max_event_size) co_return errors::event_too_large(text.size(), max_event_size);
  co_return text;
}

bool NodeLedger::may_have_leaf(const std::string& client) {
  const std::lock_guard lock(limiter_mutex_);
  return limiter_.allow(client, std::chrono::steady_clock::now());
}

// The first leaf of a run proves that the log can be written before anything depends on it.
Result<void> NodeLedger::log_start(const TornTail& torn) {
  Event event;
  event.type = "ledger.start";
  event.details["origin"] = origin_;
  if (torn.bytes != 0) {
    event.details["torn_bytes"] = torn.bytes;
    event.details["torn_digest"] = torn.digest;
  }
  AVSEAL_TRY(auto place, writer_->reserve());
  std::promise<Appended> appended;
  auto waiter = appended.get_future();
  writer_->append(std::move(place), EventText(event, {}, {}).finish({}, 0, Outcome::released, {}),
                  Completion<Appended>::to(std::move(appended)));
  AVSEAL_CHECK(waiter.get());
  return {};
}

void NodeLedger::stop() {
  Event event;
  event.type = "ledger.stop";
  writer_->close(EventText(event, {}, {}).finish({}, 0, Outcome::released, {}));
}

}  // namespace

Result<std::shared_ptr<Ledger>> Ledger::open(Config config, Clock clock, prometheus::Registry& registry) {
  auto files = config.files ? config.files : std::make_shared<FileOps>();
  AVSEAL_TRY(auto log, SegmentLog::open({config.directory, config.origin, config.reserve_bytes, config.segment_bytes,
                                         std::move(files)}));
  const auto torn = log->torn_tail();
  auto metrics = std::make_shared<Metrics>(registry);
  auto writer = Writer::start(std::move(log), {config.max_pending, config.append_limit}, std::move(clock), metrics);
  auto ledger = std::make_shared<NodeLedger>(std::move(writer), config, std::move(metrics));
  AVSEAL_CHECK(ledger->log_start(torn));
  return std::shared_ptr<Ledger>(std::move(ledger));
}

}  // namespace avseal::ledger
