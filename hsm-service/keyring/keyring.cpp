#include "keyring/keyring.hpp"

#include <algorithm>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "keyring/errors.hpp"
#include "keyring/probing.hpp"
#include "keyring/wrapping.hpp"
#include "tokens/base64.hpp"
#include "tokens/digest.hpp"

namespace avseal::keyring {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;

constexpr unsigned max_bad_signatures = 3;  // for one request
// Before the last of them: a worker that lost its keys needs some ten milliseconds to find them again.
constexpr std::chrono::milliseconds recovery_pause{150};
constexpr auto shortest_retirement = 2s;  // a request may have got its key from the earlier configuration
constexpr auto longest_retirement = 10s;
constexpr auto retirement_poll = 10ms;

// A configuration that is in use, or was when the request that holds it began.
struct Setup {
  // Which signatures are verified: one in N.
  bool verify_next() { return signatures++ % std::max(verify_one_in, 1U) == 0; }

  std::shared_ptr<Pool> pool;
  std::shared_ptr<const Keys> keys;
  std::function<Result<void>()> may_sign;
  unsigned verify_one_in = 1;
  unsigned signatures = 0;
};
using SetupPtr = std::shared_ptr<Setup>;

// What coroutines share with the keyring that began them, for one may outlive it.
struct Setups {
  SetupPtr current;
  std::vector<SetupPtr> retiring;

  // The one that has the key with this public key; else null.
  [[nodiscard]] SetupPtr of(const SigningKey& key) const {
    return first([&](const Setup& setup) {
      const auto index = setup.pool->find(key.name);
      return index && setup.pool->key(*index).kid == key.kid;
    });
  }
  [[nodiscard]] SetupPtr of_kek(std::string_view name) const {
    return first([&](const Setup& setup) {
      const auto index = setup.pool->find(name);
      return index && setup.pool->key(*index).kind == KeyKind::dac_kek;
    });
  }

 private:
  template <class Predicate>
  SetupPtr first(Predicate has) const {
    if (has(*current)) return current;
    const auto found = std::find_if(retiring.begin(), retiring.end(), [&](const auto& setup) { return has(*setup); });
    return found == retiring.end() ? nullptr : *found;
  }
};

Result<SetupPtr> make_setup(const KeyringConfig& config, std::shared_ptr<const Keys> keys,
                            const asio::any_io_executor& executor, prometheus::Registry& metrics) {
  AVSEAL_TRY(auto pool, Pool::create(config, *keys, executor, metrics));
  return std::make_shared<Setup>(Setup{std::move(pool), std::move(keys), config.may_sign, config.verify_after_sign});
}

bool verifies(const SigningKey& key, ByteView input, ByteView signature, prometheus::Histogram& seconds) {
  const auto start = std::chrono::steady_clock::now();
  const bool good = key.public_key.verify(input, signature).has_value();
  seconds.Observe(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  return good;
}

// Who hears of the uses of keys that one request makes: its slot, or for a checkpoint, which has none, a list.
class UseSink {
 public:
  using Record = void (*)(ledger::Slot&, ledger::KeyUse);
  UseSink(ledger::Slot& slot, Record record) : slot_(&slot), record_(record) {}
  explicit UseSink(std::vector<ledger::KeyUse>& list) : list_(&list) {}

  [[nodiscard]] bool is_slot() const { return slot_ != nullptr; }
  void add(ledger::KeyUse use) {
    if (slot_ != nullptr) {
      record_(*slot_, std::move(use));
    } else {
      list_->push_back(std::move(use));
    }
  }

 private:
  ledger::Slot* slot_ = nullptr;
  Record record_ = nullptr;
  std::vector<ledger::KeyUse>* list_ = nullptr;
};

asio::awaitable<Result<void>> connect(SetupPtr setup, std::chrono::milliseconds limit) {
  setup->pool->start();
  auto usable = co_await Pool::wait_until_usable(setup->pool, std::chrono::steady_clock::now() + limit);
  if (!usable) setup->pool->close();
  co_return usable;
}

}  // namespace

class Prepared {
 public:
  Prepared(SetupPtr setup, asio::any_io_executor executor) : setup_(std::move(setup)), executor_(std::move(executor)) {}
  Prepared(const Prepared&) = delete;
  Prepared& operator=(const Prepared&) = delete;
  ~Prepared() {
    if (setup_) asio::post(executor_, [setup = setup_] { setup->pool->close(); });
  }
  SetupPtr take() { return std::exchange(setup_, nullptr); }

 private:
  SetupPtr setup_;
  asio::any_io_executor executor_;
};

namespace {

class PooledKeyring final : public Keyring {
 public:
  PooledKeyring(SetupPtr setup, asio::any_io_executor executor, prometheus::Registry& metrics)
      : setups_(std::make_shared<Setups>(Setups{std::move(setup), {}})),
        executor_(std::move(executor)),
        metrics_(metrics) {}
  PooledKeyring(const PooledKeyring&) = delete;
  PooledKeyring& operator=(const PooledKeyring&) = delete;
  ~PooledKeyring() override { close(); }

  const Keys& keys() const override { return *setups_->current->keys; }
  void close() override {
    setups_->current->pool->close();
    for (const auto& setup : setups_->retiring) setup->pool->close();
  }

  asio::awaitable<Result<Bytes>> sign(ledger::Slot& slot, const SigningKey& key, ByteView input, Deadline deadline,
                                      Priority priority) override {
    return sign_for(setups_->of(key), UseSink(slot, &Keyring::record), key, input, deadline, priority);
  }
  asio::awaitable<Result<ledger::CheckpointSignature>> sign_checkpoint(const ledger::CheckpointPermit& permit,
                                                                       const SigningKey& key,
                                                                       std::string_view note_text,
                                                                       Deadline deadline) override;
  asio::awaitable<Result<Bytes>> wrap(const Secret& data_key, ByteView aad, Deadline deadline) override;
  asio::awaitable<Result<Secret>> unwrap(ByteView wrapped, ByteView aad, Deadline deadline) override;

  asio::awaitable<Result<std::shared_ptr<Prepared>>> prepare(KeyringConfig config,
                                                             std::shared_ptr<const Keys> keys) override {
    return prepare_beside(setups_, std::move(config), std::move(keys), executor_, metrics_);
  }
  asio::awaitable<void> adopt(std::shared_ptr<Prepared> prepared) override {
    return replace(setups_, std::move(prepared));
  }

  Result<void> set_drained(std::string_view token, bool drained) override { return pool().set_drained(token, drained); }
  asio::awaitable<std::vector<KeyStatus>> probe() override { return probe_all(setups_->current->pool); }
  std::vector<KeyStatus> status() const override;
  std::vector<TokenStatus> tokens() const override { return pool().tokens(); }
  bool has_late_uses() const override { return pool().has_late_uses(); }
  void give_up_late() override {
    setups_->current->pool->give_up_late();
    for (const auto& setup : setups_->retiring) {
      setup->pool->give_up_late();
      pool().inherit_late_uses(*setup->pool);
    }
  }
  void tell_late_uses(ledger::Slot& slot) override {
    for (auto& use : pool().take_late_uses()) record(slot, std::move(use));
  }

 private:
  static asio::awaitable<Result<Bytes>> sign_for(SetupPtr setup, UseSink uses, const SigningKey& key, ByteView input,
                                                 Deadline deadline, Priority priority);
  static asio::awaitable<Result<std::shared_ptr<Prepared>>> prepare_beside(std::shared_ptr<Setups> setups,
                                                                           KeyringConfig config,
                                                                           std::shared_ptr<const Keys> keys,
                                                                           asio::any_io_executor executor,
                                                                           prometheus::Registry& metrics);
  static asio::awaitable<void> replace(std::shared_ptr<Setups> setups, std::shared_ptr<Prepared> prepared);
  [[nodiscard]] Pool& pool() const { return *setups_->current->pool; }

  std::shared_ptr<Setups> setups_;
  asio::any_io_executor executor_;
  prometheus::Registry& metrics_;
};

asio::awaitable<Result<Bytes>> PooledKeyring::sign_for(SetupPtr setup, UseSink uses, const SigningKey& key,
                                                       ByteView input, Deadline deadline, Priority priority) {
  if (!setup) co_return errors::key_not_configured(key.name);
  const auto& pool = setup->pool;
  const auto index = pool->find(key.name);
  PoolKey& pooled = pool->key(*index);
  pooled.metrics.requests->Increment();
  if (uses.is_slot() && setup->may_sign) {
    if (const auto allowed = setup->may_sign(); !allowed) {
      pooled.metrics.failed(allowed.error().reason);
      co_return allowed.error();
    }
  }
  const auto start = std::chrono::steady_clock::now();
  const std::string digest = tokens::base64url_encode(tokens::sha256(input));

  Request request;
  request.key = *index;
  request.input = input;
  request.deadline = deadline;
  request.priority = priority;
  request.for_slot = uses.is_slot();
  asio::steady_timer pause(co_await asio::this_coro::executor);
  for (unsigned bad = 0; bad < max_bad_signatures; ++bad) {
    pool->submit(request);
    if (!request.answer) co_await pool->wait(request);
    Result<Answer> answer = std::move(*request.answer);
    if (uses.is_slot()) {
      for (auto& use : pool->take_late_uses()) uses.add(std::move(use));
    }
    if (!answer) {
      pooled.metrics.failed(answer.error().reason);
      co_return answer.error();
    }
    Worker& worker = pool->worker(answer->worker);
    const bool verify = setup->verify_next() || worker.distrusted() || bad > 0;
    const bool good = verify ? verifies(key, input, answer->value, *pooled.metrics.verify)
                             : answer->value.size() == key.public_key.signature_size();
    uses.add({key.name, pooled.kid, *answer->instance, answer->sequence, digest, good ? "signed" : "discarded"});
    if (good) {
      pool->credit(worker);
      pooled.metrics.answered_since(start);
      co_return std::move(answer->value);
    }
    pooled.metrics.discarded(Discard::bad_signature);
    worker.distrust();
    worker.avoid(std::chrono::steady_clock::now());
    pool->discredit(worker, *index, "a signature that the certificate's public key does not verify");
    request.failed.add(answer->worker);
    if (bad + 2 != max_bad_signatures) continue;
    pause.expires_after(recovery_pause);
    co_await pause.async_wait(asio::use_awaitable);
  }
  pooled.metrics.failed("hsm-bad-signature");
  co_return errors::bad_signature(key.name);
}

asio::awaitable<Result<ledger::CheckpointSignature>> PooledKeyring::sign_checkpoint(
    const ledger::CheckpointPermit& permit, const SigningKey& key, std::string_view note_text, Deadline deadline) {
  (void)permit;  // its existence is the permission
  if (key.kind != KeyKind::ledger) co_return errors::key_not_configured(to_string(KeyKind::ledger));
  std::vector<ledger::KeyUse> uses;
  const auto setup = setups_->of(key);
  auto signing = sign_for(setup, UseSink(uses), key, as_bytes(note_text), deadline, Priority::live);
  auto raw = co_await std::move(signing);
  if (!raw) {
    for (auto& use : uses) setup->pool->late(std::move(use));
    co_return raw.error();
  }
  co_return ledger::CheckpointSignature{key.public_key, std::move(*raw), std::move(uses)};
}

asio::awaitable<Result<Bytes>> PooledKeyring::wrap(const Secret& data_key, ByteView aad, Deadline deadline) {
  const auto pool = setups_->current->pool;
  const auto key = pool->primary_kek();
  if (!key) co_return errors::key_not_configured(to_string(KeyKind::dac_kek));
  co_return co_await keyring::wrap(pool, *key, data_key, aad, deadline);
}

asio::awaitable<Result<Secret>> PooledKeyring::unwrap(ByteView wrapped, ByteView aad, Deadline deadline) {
  const auto setups = setups_;
  AVSEAL_CO_TRY(const auto name, wrapping_key(wrapped));
  const auto setup = setups->of_kek(name);
  if (!setup) {
    co_return errors::wrapped_key_malformed("it names a key that is not configured with kind dac-kek");
  }
  co_return co_await keyring::unwrap(setup->pool, *setup->pool->find(name), wrapped, aad, deadline);
}

std::vector<KeyStatus> PooledKeyring::status() const {
  std::vector<KeyStatus> all;
  for (std::size_t i = 0; i < pool().key_count(); ++i) all.push_back(pool().status(i));
  return all;
}

asio::awaitable<Result<std::shared_ptr<Prepared>>> PooledKeyring::prepare_beside(std::shared_ptr<Setups> setups,
                                                                                 KeyringConfig config,
                                                                                 std::shared_ptr<const Keys> keys,
                                                                                 asio::any_io_executor executor,
                                                                                 prometheus::Registry& metrics) {
  AVSEAL_CO_TRY(auto setup, make_setup(config, std::move(keys), executor, metrics));
  setup->pool->keep_drained(*setups->current->pool);
  auto connected = co_await connect(setup, config.start_limit);
  if (!connected) co_return connected.error();
  co_return std::make_shared<Prepared>(std::move(setup), std::move(executor));
}

asio::awaitable<void> PooledKeyring::replace(std::shared_ptr<Setups> setups, std::shared_ptr<Prepared> prepared) {
  const auto earlier = std::exchange(setups->current, prepared->take());
  setups->current->pool->keep_drained(*earlier->pool);
  setups->retiring.push_back(earlier);
  asio::steady_timer timer(co_await asio::this_coro::executor);
  const auto begun = std::chrono::steady_clock::now();
  for (auto age = begun - begun; age < longest_retirement; age = std::chrono::steady_clock::now() - begun) {
    if (age >= shortest_retirement && earlier->pool->idle()) break;
    timer.expires_after(retirement_poll);
    co_await timer.async_wait(asio::as_tuple(asio::use_awaitable));
  }
  earlier->pool->close();
  setups->current->pool->inherit_late_uses(*earlier->pool);
  std::erase(setups->retiring, earlier);
}

}  // namespace

void Keyring::record(ledger::Slot& slot, ledger::KeyUse use) {
  slot.used(std::move(use));
}

asio::awaitable<Result<std::unique_ptr<Keyring>>> Keyring::open(KeyringConfig config, std::shared_ptr<const Keys> keys,
                                                                asio::any_io_executor executor,
                                                                prometheus::Registry& metrics) {
  AVSEAL_CO_TRY(auto setup, make_setup(config, std::move(keys), executor, metrics));
  auto keyring = std::make_unique<PooledKeyring>(setup, std::move(executor), metrics);
  auto connected = co_await connect(setup, config.start_limit);
  if (!connected) co_return connected.error();
  co_return std::unique_ptr<Keyring>(std::move(keyring));
}

}  // namespace avseal::keyring
