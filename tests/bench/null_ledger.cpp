// An avseald whose ledger takes everything and writes nothing: what a ledger costs is what it lacks. For
// tests/bench/ledger_ratio.py alone; nothing that is installed can be linked with this.
#include "ledger/ledger.hpp"

namespace avseal::ledger {

struct Slot::Pending {};

Slot::Slot(std::unique_ptr<Pending> pending) noexcept : pending_(std::move(pending)) {}
Slot::Slot(Slot&& other) noexcept = default;
Slot& Slot::operator=(Slot&& other) noexcept = default;
Slot::~Slot() = default;
void Slot::used(KeyUse) {}
boost::asio::awaitable<Result<Position>> Slot::commit(Outcome, std::string_view) {
  co_return Position{};
}

Slot Ledger::make_slot(std::unique_ptr<Pending> pending) {
  return Slot(std::move(pending));
}

namespace {

class NullLedger final : public Ledger {
 public:
  explicit NullLedger(std::string origin) : origin_(std::move(origin)) {}
  void use_subject_keys(SubjectKeys&) override {}
  void use_signer(CheckpointSigner*) override {}
  boost::asio::awaitable<Result<Slot>> open_slot(Event) override { co_return make_slot(nullptr); }
  boost::asio::awaitable<Result<Slot>> open_last_slot(Event) override { co_return make_slot(nullptr); }
  boost::asio::awaitable<void> refused(Event, std::string) override { co_return; }
  void count_unauthenticated(std::string_view) override {}
  [[nodiscard]] std::optional<Published> published() const override { return std::nullopt; }
  [[nodiscard]] std::optional<Published> closed() const override { return std::nullopt; }
  boost::asio::awaitable<Result<Published>> covered(std::uint64_t, std::chrono::steady_clock::time_point) override {
    co_return Published{};
  }
  void cosigned(const Published&, std::vector<tlog::NoteSignature>) override {}
  [[nodiscard]] std::string origin() const override { return origin_; }
  [[nodiscard]] std::uint64_t size() const override { return 0; }
  [[nodiscard]] Result<void> healthy() const override { return {}; }
  [[nodiscard]] bool stopped() const override { return false; }
  void close() override {}

 private:
  std::string origin_;
};

}  // namespace

Result<std::shared_ptr<Ledger>> Ledger::open(Config config, Clock, prometheus::Registry&) {
  return std::shared_ptr<Ledger>(std::make_shared<NullLedger>(std::move(config.origin)));
}

}  // namespace avseal::ledger
