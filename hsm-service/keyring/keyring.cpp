#include "keyring/keyring.hpp"

#include <algorithm>

#include <openssl/crypto.h>

#include "keyring/errors.hpp"
#include "keyring/pool.hpp"
#include "tokens/base64.hpp"
#include "tokens/digest.hpp"

namespace avseal::keyring {
namespace {

namespace asio = boost::asio;

constexpr unsigned max_bad_signatures = 3;  // for one request
constexpr std::uint8_t wrapped_form = 1;    // u8 form, u8 length, name of the key, what the worker returned
constexpr std::size_t max_wrapped = 4096;   // bytes

double seconds_since(Instant start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// Everything but keys(); the coroutines own the pool, so that one may outlive the Keyring that began it.
class PooledKeyring final : public Keyring {
 public:
  PooledKeyring(std::shared_ptr<Pool> pool, std::shared_ptr<const Keys> keys, unsigned verify_after_sign)
      : pool_(std::move(pool)), keys_(std::move(keys)), sampler_(std::make_shared<Sampler>(verify_after_sign)) {}
  PooledKeyring(const PooledKeyring&) = delete;
  PooledKeyring& operator=(const PooledKeyring&) = delete;
  ~PooledKeyring() override { close(); }

  const Keys& keys() const override { return *keys_; }
  void close() override { pool_->close(); }

  asio::awaitable<Result<Bytes>> sign(ledger::Slot& slot, const SigningKey& key, ByteView input,
                                      Deadline deadline) override {
    return sign_for(pool_, sampler_, &slot, key, input, deadline);
  }
  asio::awaitable<Result<Bytes>> sign_checkpoint(ledger::CheckpointPermit permit, std::string_view note_text,
                                                 Deadline deadline) override;
  asio::awaitable<Result<Bytes>> wrap(const Secret& data_key, ByteView aad, Deadline deadline) override {
    return wrap_with(pool_, data_key, aad, deadline);
  }
  asio::awaitable<Result<Secret>> unwrap(ByteView wrapped, ByteView aad, Deadline deadline) override {
    return unwrap_with(pool_, wrapped, aad, deadline);
  }
  asio::awaitable<std::vector<KeyStatus>> probe() override { return probe_all(pool_); }
  std::vector<KeyStatus> status() const override;

 private:
  // Which signatures are verified: one in N.
  struct Sampler {
    explicit Sampler(unsigned one_in) : n(std::max(one_in, 1U)) {}
    bool next() { return count++ % n == 0; }
    unsigned n;
    unsigned count = 0;
  };

  static asio::awaitable<Result<Bytes>> sign_for(std::shared_ptr<Pool> pool, std::shared_ptr<Sampler> sampler,
                                                 ledger::Slot* slot, const SigningKey& key, ByteView input,
                                                 Deadline deadline);
  static asio::awaitable<Result<Answer>> ask(std::shared_ptr<Pool> pool, tokend::FrameType operation, std::size_t key,
                                             ByteView input, ByteView aad, Deadline deadline);
  static asio::awaitable<Result<Bytes>> wrap_with(std::shared_ptr<Pool> pool, const Secret& data_key, ByteView aad,
                                                  Deadline deadline);
  static asio::awaitable<Result<Secret>> unwrap_with(std::shared_ptr<Pool> pool, ByteView wrapped, ByteView aad,
                                                     Deadline deadline);
  static asio::awaitable<std::vector<KeyStatus>> probe_all(std::shared_ptr<Pool> pool);

  std::shared_ptr<Pool> pool_;
  std::shared_ptr<const Keys> keys_;
  std::shared_ptr<Sampler> sampler_;
};

asio::awaitable<Result<Bytes>> PooledKeyring::sign_for(std::shared_ptr<Pool> pool, std::shared_ptr<Sampler> sampler,
                                                       ledger::Slot* slot, const SigningKey& key, ByteView input,
                                                       Deadline deadline) {
  const auto index = pool->find(key.name);
  if (!index) co_return errors::key_not_configured(key.name);
  PoolKey& pooled = pool->key(*index);
  pooled.metrics.requests->Increment();
  const auto start = std::chrono::steady_clock::now();
  const std::string digest = slot == nullptr ? std::string() : tokens::base64url_encode(tokens::sha256(input));

  Request request;
  request.key = *index;
  request.input = input;
  request.deadline = deadline;
  for (unsigned bad = 0; bad < max_bad_signatures; ++bad) {
    pool->submit(request);
    if (!request.answer) co_await pool->wait(request);
    Result<Answer> answer = std::move(*request.answer);
    if (slot != nullptr) {
      for (auto& use : pool->take_late_uses()) record(*slot, std::move(use));
    }
    if (!answer) {
      pooled.metrics.failed(answer.error().reason);
      co_return answer.error();
    }
    Worker& worker = pool->worker(answer->worker);
    const bool verify = sampler->next() || worker.distrusted() || bad > 0;
    const bool good = verify ? key.public_key.verify(input, answer->value).has_value()
                             : answer->value.size() == key.public_key.signature_size();
    if (slot != nullptr) {
      record(*slot, {key.name, pooled.kid, *answer->instance, answer->sequence, digest, good ? "signed" : "discarded"});
    }
    if (good) {
      pooled.metrics.latency->Observe(seconds_since(start));
      co_return std::move(answer->value);
    }
    pooled.metrics.discarded(Discard::bad_signature);
    worker.distrust();
    worker.failed(std::chrono::steady_clock::now());
    request.failed.add(answer->worker);
  }
  pooled.metrics.failed("hsm-bad-signature");
  co_return errors::bad_signature(key.name);
}

asio::awaitable<Result<Bytes>> PooledKeyring::sign_checkpoint(ledger::CheckpointPermit permit,
                                                              std::string_view note_text, Deadline deadline) {
  (void)permit;  // its existence is the permission
  const auto pool = pool_;
  const auto keys = keys_;
  const auto sampler = sampler_;
  AVSEAL_CO_TRY(const SigningKey* key, keys->primary(KeyKind::ledger));
  co_return co_await sign_for(pool, sampler, nullptr, *key, as_bytes(note_text), deadline);
}

// A use without signature: wrap and unwrap.
asio::awaitable<Result<Answer>> PooledKeyring::ask(std::shared_ptr<Pool> pool, tokend::FrameType operation,
                                                   std::size_t key, ByteView input, ByteView aad, Deadline deadline) {
  auto& metrics = pool->key(key).metrics;
  metrics.requests->Increment();
  const auto start = std::chrono::steady_clock::now();
  Request request;
  request.operation = operation;
  request.key = key;
  request.input = input;
  request.aad = aad;
  request.deadline = deadline;
  pool->submit(request);
  if (!request.answer) co_await pool->wait(request);
  if (*request.answer) {
    metrics.latency->Observe(seconds_since(start));
  } else {
    metrics.failed(request.answer->error().reason);
  }
  co_return std::move(*request.answer);
}

asio::awaitable<Result<Bytes>> PooledKeyring::wrap_with(std::shared_ptr<Pool> pool, const Secret& data_key,
                                                        ByteView aad, Deadline deadline) {
  const auto key = pool->primary_kek();
  if (!key) co_return errors::key_not_configured(to_string(KeyKind::dac_kek));
  auto answer = co_await ask(pool, tokend::FrameType::wrap, *key, data_key.reveal(), aad, deadline);
  if (!answer) co_return answer.error();
  const auto& name = pool->key(*key).name;
  Bytes wrapped(2 + name.size() + answer->value.size());
  wrapped[0] = wrapped_form;
  wrapped[1] = static_cast<std::uint8_t>(name.size());
  const auto end = std::copy(name.begin(), name.end(), wrapped.begin() + 2);
  std::copy(answer->value.begin(), answer->value.end(), end);
  co_return wrapped;
}

asio::awaitable<Result<Secret>> PooledKeyring::unwrap_with(std::shared_ptr<Pool> pool, ByteView wrapped, ByteView aad,
                                                           Deadline deadline) {
  if (wrapped.size() > max_wrapped) co_return errors::wrapped_key_malformed("it is longer than 4096 bytes");
  if (wrapped.size() < 2 || wrapped[0] != wrapped_form) {
    co_return errors::wrapped_key_malformed("it does not begin with form 1");
  }
  const std::size_t name_size = wrapped[1];
  if (wrapped.size() <= 2 + name_size) co_return errors::wrapped_key_malformed("it is cut short");
  const std::string_view name = as_text(wrapped.subspan(2, name_size));
  const auto key = pool->find(name);
  if (!key || pool->key(*key).kind != KeyKind::dac_kek) {
    co_return errors::wrapped_key_malformed("it names a key that is not configured with kind dac-kek");
  }
  const ByteView inner = wrapped.subspan(2 + name_size);
  auto answer = co_await ask(pool, tokend::FrameType::unwrap, *key, inner, aad, deadline);
  if (!answer) co_return answer.error();
  auto secret = Secret::copy_of(answer->value);
  OPENSSL_cleanse(answer->value.data(), answer->value.size());
  co_return secret;
}

asio::awaitable<std::vector<KeyStatus>> PooledKeyring::probe_all(std::shared_ptr<Pool> pool) {
  std::vector<KeyStatus> all;
  for (std::size_t i = 0; i < pool->key_count(); ++i) {
    const auto workers = pool->key(i).workers;
    KeyStatus status{pool->key(i).name, pool->key(i).kind, false, {}};
    for (const auto worker : workers) {
      std::string why = pool->worker(worker).why_not(i);
      if (why.empty()) {
        Request request;
        request.operation = tokend::FrameType::probe;
        request.key = i;
        request.only = worker;
        request.deadline = std::chrono::steady_clock::now() + pool->attempt_limit();
        pool->submit(request);
        if (!request.answer) co_await pool->wait(request);
        if (!*request.answer) why = request.answer->error().detail;
      }
      status.can_sign = status.can_sign || why.empty();
      if (!why.empty()) {
        if (!status.why_not.empty()) status.why_not += "; ";
        status.why_not += "worker " + pool->worker(worker).name() + ": " + why;
      }
    }
    if (workers.empty()) status.why_not = "no token with a worker holds it";
    all.push_back(std::move(status));
  }
  co_return all;
}

std::vector<KeyStatus> PooledKeyring::status() const {
  std::vector<KeyStatus> all;
  for (std::size_t i = 0; i < pool_->key_count(); ++i) all.push_back(pool_->status(i));
  return all;
}

}  // namespace

void Keyring::record(ledger::Slot& slot, ledger::KeyUse use) {
  slot.used(std::move(use));
}

asio::awaitable<Result<std::unique_ptr<Keyring>>> Keyring::open(KeyringConfig config, std::shared_ptr<const Keys> keys,
                                                                asio::any_io_executor executor,
                                                                prometheus::Registry& metrics) {
  AVSEAL_CO_TRY(auto pool, Pool::create(config, *keys, std::move(executor), metrics));
  std::unique_ptr<Keyring> keyring = std::make_unique<PooledKeyring>(pool, keys, config.verify_after_sign);
  pool->start();
  const auto until = std::chrono::steady_clock::now() + config.start_limit;
  auto usable = co_await Pool::wait_until_usable(pool, until);
  if (!usable) co_return usable.error();
  co_return keyring;
}

}  // namespace avseal::keyring
