#include "ledger/ledger.hpp"

#include "ledger/directory_lock.hpp"
#include "ledger/errors.hpp"
#include "ledger/pending.hpp"
#include "ledger/publisher.hpp"
#include "ledger/start_leaf.hpp"
#include "tokens/base64.hpp"

namespace avseal::ledger {

namespace {

namespace asio = boost::asio;

constexpr std::chrono::milliseconds closing_limit{1000};  // for slots that are open to be committed

// Ids of leaves: different from all that were and will be.
class LeafIds {
 public:
  std::string next() {
    Bytes id = run_;
    const auto number = number_.fetch_add(1);
    for (int shift = 56; shift >= 0; shift -= 8) id.push_back(static_cast<std::uint8_t>(number >> shift));
    return tokens::base64url_encode(id);
  }

 private:
  const Bytes run_ = tokens::random_bytes(12);
  std::atomic<std::uint64_t> number_{0};
};

class NodeLedger final : public Ledger {
 public:
  NodeLedger(DirectoryLock lock, std::unique_ptr<Periods> periods, std::shared_ptr<Writer> writer, const Config& config,
             std::shared_ptr<Metrics> metrics)
      : lock_(std::move(lock)),
        origin_(config.origin),
        periods_(std::move(periods)),
        writer_(std::move(writer)),
        metrics_(std::move(metrics)),
        limiter_(config.refusals_per_second, config.refusal_burst) {}
  NodeLedger(const NodeLedger&) = delete;
  NodeLedger& operator=(const NodeLedger&) = delete;
  ~NodeLedger() override { stop(); }

  void use_subject_keys(SubjectKeys& keys) override { subject_keys_ = &keys; }
  void use_signer(CheckpointSigner* signer) override {
    if (publisher_) publisher_->use_signer(signer);
  }

  asio::awaitable<Result<Slot>> open_slot(Event event) override {
    auto place = writer_->reserve();
    if (!place) {
      count(metrics_->not_opened, place.error().reason);
      co_return place.error();
    }
    auto opening = open(std::move(*place), std::move(event));
    co_return co_await std::move(opening);
  }

  asio::awaitable<Result<Slot>> open_last_slot(Event event) override {
    return open(writer_->reserve_last(), std::move(event));
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

  [[nodiscard]] std::optional<Published> published() const override {
    return publisher_ ? publisher_->published() : std::nullopt;
  }
  [[nodiscard]] std::optional<Published> closed() const override {
    return publisher_ ? publisher_->closed() : std::nullopt;
  }
  asio::awaitable<Result<Published>> covered(std::uint64_t index,
                                             std::chrono::steady_clock::time_point deadline) override;
  void cosigned(const Published& checkpoint, std::vector<tlog::NoteSignature> signatures) override {
    if (publisher_) publisher_->add(checkpoint, std::move(signatures));
  }
  [[nodiscard]] std::string origin() const override { return periods_->origin(); }
  [[nodiscard]] std::uint64_t size() const override { return writer_->size(); }
  [[nodiscard]] Result<void> healthy() const override { return writer_->healthy(); }
  [[nodiscard]] bool stopped() const override { return writer_->stopped(); }
  void close() override {
    if (!stopped()) writer_->await_places(closing_limit);
    stop();
  }

  void start_publishing(Checkpointer checkpointer, std::chrono::milliseconds interval);

 private:
  asio::awaitable<Result<Slot>> open(Place place, Event event);
  asio::awaitable<Result<EventText>> describe(const Event& event);
  bool may_have_leaf(const std::string& client);
  void stop();

  std::optional<DirectoryLock> lock_;
  const std::string origin_;  // of the node: goes into the subjects' tags
  const std::unique_ptr<Periods> periods_;
  const std::shared_ptr<Writer> writer_;
  const std::shared_ptr<Metrics> metrics_;
  std::unique_ptr<Publisher> publisher_;
  std::mutex stop_mutex_;
  SubjectKeys* subject_keys_ = nullptr;
  LeafIds ids_;
  std::mutex limiter_mutex_;
  RefusalLimiter limiter_;
};

asio::awaitable<Result<Slot>> NodeLedger::open(Place place, Event event) {
  AVSEAL_CO_TRY(auto text, co_await describe(event));
  auto pending =
      std::make_unique<Pending>(Pending{writer_, std::move(place), std::move(text), {}, 0, std::move(event.receipt)});
  co_return make_slot(std::move(pending));
}

// The event's text for its leaf, with the subjects' tags.
asio::awaitable<Result<EventText>> NodeLedger::describe(const Event& event) {
  std::string id;
  std::vector<SubjectTag> tags;
  if (!event.subjects.empty()) {
    if (subject_keys_ == nullptr) co_return errors::stopped("no subject keys: use_subject_keys() was not called");
    id = ids_.next();
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

void NodeLedger::start_publishing(Checkpointer checkpointer, std::chrono::milliseconds interval) {
  publisher_ = std::make_unique<Publisher>(std::move(checkpointer), *periods_, *writer_, interval, metrics_);
  writer_->on_growth([publisher = publisher_.get()] { publisher->grown(); });
}

asio::awaitable<Result<Published>> NodeLedger::covered(std::uint64_t index,
                                                       std::chrono::steady_clock::time_point deadline) {
  if (index >= size()) co_return errors::index_unknown(index, size());
  if (!publisher_) co_return errors::not_covered(index);
  using Answer = Result<Published>;
  auto start = [this, index, deadline](Completion<Answer> done) {
    publisher_->wait_until_covered(index, deadline, std::move(done));
  };
  co_return co_await suspend<Answer>(std::move(start));
}

void NodeLedger::stop() {
  const std::lock_guard lock(stop_mutex_);
  if (!lock_) return;
  Event event;
  event.type = "ledger.stop";
  if (publisher_) {
    const auto uses = publisher_->take_uses();
    if (!uses.empty()) event.details["uses"] = uses.json();
  }
  writer_->close(EventText(event, {}, {}).finish({}, 0, Outcome::released, {}));
  if (publisher_) publisher_->close();
  lock_.reset();
}

}  // namespace

Result<std::shared_ptr<Ledger>> Ledger::open(Config config, Clock clock, prometheus::Registry& registry) {
  if (!config.files) config.files = std::make_shared<FileOps>();
  AVSEAL_TRY(auto lock, DirectoryLock::take(config.directory));
  auto periods = std::make_unique<Periods>(config, clock);
  AVSEAL_TRY(auto log, periods->open());
  const auto tail = log.segments->tail();
  auto first = start_leaf(StartOf::run, periods->origin(), tail, log.previous, log.uses);
  auto metrics = std::make_shared<Metrics>(registry);
  const Writer::Options options{config.max_pending, config.append_limit, leaf_time(tail.last_leaf)};
  auto writer = Writer::start(std::move(log.segments), options, std::move(clock), metrics);
  auto ledger = std::make_shared<NodeLedger>(std::move(lock), std::move(periods), writer, config, metrics);
  // The first leaf of a run proves that the log can be written before anything depends on it.
  AVSEAL_CHECK(writer->append_own(std::move(first)));
  if (log.checkpointer) ledger->start_publishing(std::move(*log.checkpointer), config.checkpoint_interval);
  return std::shared_ptr<Ledger>(std::move(ledger));
}

}  // namespace avseal::ledger
