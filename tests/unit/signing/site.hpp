// A signing role with a software key, subscriptions and calls in memory, a real ledger and a real store of idempotency
// keys in a directory of its own, and a clock of its own.
#pragma once

#include <map>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include "http/router.hpp"
#include "pki.hpp"
#include "signing/role.hpp"
#include "store/store.hpp"

namespace avseal::test {

inline constexpr UnixSeconds test_now = 1'763'930'000;
inline constexpr const char* fingerprint_a =
    "SHA-256 "
    "00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF";
inline constexpr const char* fingerprint_b =
    "SHA-256 "
    "FF:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF";
inline constexpr const char* origid = "123e4567-e89b-12d3-a456-426655440000";

template <class T>
boost::asio::awaitable<void> keep(boost::asio::awaitable<T> task, std::optional<T>* out) {
  out->emplace(co_await std::move(task));
}

// Runs a coroutine to its end on context.
template <class T>
T run(boost::asio::io_context& context, boost::asio::awaitable<T> task) {
  std::optional<T> out;
  std::exception_ptr failure;
  bool done = false;
  boost::asio::co_spawn(context, keep(std::move(task), &out), [&](std::exception_ptr error) {
    failure = error;
    done = true;
  });
  context.restart();
  while (!done && context.run_one() > 0) {
  }
  if (failure) std::rethrow_exception(failure);
  return std::move(out.value());
}

class FakeKeyring final : public keyring::Keyring {
 public:
  FakeKeyring(std::shared_ptr<const keyring::Keys> keys, Key key) : keys_(std::move(keys)), key_(std::move(key)) {}
  const keyring::Keys& keys() const override { return *keys_; }
  boost::asio::awaitable<Result<Bytes>> sign(ledger::Slot& slot, const keyring::SigningKey& key, ByteView input,
                                             keyring::Deadline deadline, keyring::Priority priority) override;
  boost::asio::awaitable<Result<ledger::CheckpointSignature>> sign_checkpoint(const ledger::CheckpointPermit& permit,
                                                                              const keyring::SigningKey& key,
                                                                              std::string_view text,
                                                                              keyring::Deadline deadline) override;
  boost::asio::awaitable<Result<Bytes>> wrap(const Secret& data_key, ByteView aad, keyring::Deadline deadline) override;
  boost::asio::awaitable<Result<Secret>> unwrap(ByteView wrapped, ByteView aad, keyring::Deadline deadline) override;
  boost::asio::awaitable<std::vector<keyring::KeyStatus>> probe() override;
  std::vector<keyring::KeyStatus> status() const override { return {}; }
  boost::asio::awaitable<Result<std::shared_ptr<keyring::Prepared>>> prepare(
      keyring::KeyringConfig, std::shared_ptr<const keyring::Keys>) override {
    co_return errors::make(Category::internal, "key-configuration", "not in these tests");
  }
  boost::asio::awaitable<void> adopt(std::shared_ptr<keyring::Prepared>) override { co_return; }
  Result<void> set_drained(std::string_view, bool) override { return {}; }
  std::vector<keyring::TokenStatus> tokens() const override { return {}; }
  bool has_late_uses() const override { return false; }
  void tell_late_uses(ledger::Slot&) override {}
  void give_up_late() override {}
  void close() override {}

  std::optional<Error> failure;  // instead of a signature
  std::function<void()> before;  // called once, when the next signature is asked for
  int signatures = 0;

 private:
  std::shared_ptr<const keyring::Keys> keys_;
  Key key_;
};

class MemorySubscriptions final : public store::Subscriptions {
 public:
  store::Async<std::optional<store::Subscription>> find(tokens::Impu impu) override;
  store::Async<std::int64_t> put(store::Subscription subscription) override;
  store::Async<bool> erase(tokens::Impu impu) override;

  std::map<std::string, store::Subscription> rows;
  std::optional<Error> failure;
  int reads = 0;
};

class MemoryCalls final : public store::CallStates {
 public:
  store::Async<void> put(store::Call call) override;
  store::Async<std::optional<store::Call>> find(std::string id) override;

  std::map<std::string, store::Call> rows;
  std::optional<Error> failure;
};

class MemorySubjectKeys final : public ledger::SubjectKeys {
 public:
  boost::asio::awaitable<Result<Bytes>> key_for(std::string subject) override;
  boost::asio::awaitable<Result<std::optional<Bytes>>> find(std::string subject) override;
  boost::asio::awaitable<Result<bool>> erase(std::string subject) override;
  std::map<std::string, Bytes> keys;
};

class Site {
 public:
  explicit Site(http::MsDialect dialect = http::MsDialect::ts24229, tokens::Attest max_attest = tokens::Attest::a);
  ~Site();
  void replace_ims_as();  // by another certificate of the same client

  // What the router answers to a request of the client whose certificate is given; without one if null.
  http::Response call(http::Method method, const std::string& path, const std::string& body,
                      const tokens::Certificate* client, http::Headers extra = {});
  http::Response post(const std::string& path, const boost::json::value& body, http::Headers extra = {});
  std::string sign(const boost::json::value& request);  // the Identity header value; throws if refused
  std::string assemble(const tokens::Passport& passport, const Key& key);  // Identity header value of any PASSporT
  tokens::Passport passport() const;                                       // a good one, x5u our own certificate
  void subscribe(const std::string& impu, const std::string& avatar, const std::string& application);
  std::vector<boost::json::object> leaves();  // of the ledger but its own, after closing it

  UnixSeconds now = test_now;
  TempDir dir;
  Authority stir;
  Authority tls;
  Key key;
  tokens::Certificate certificate;  // the signer's
  tokens::Certificate ims_as;
  tokens::Certificate operator_;
  signing::Config config;
  boost::asio::io_context context;
  prometheus::Registry metrics;
  MemorySubscriptions subscriptions;
  MemoryCalls calls;
  MemorySubjectKeys subject_keys;
  std::shared_ptr<const keyring::Keys> keys;
  std::unique_ptr<FakeKeyring> keyring;
  std::shared_ptr<ledger::Ledger> ledger;
  std::shared_ptr<store::Store> store;  // for idempotency keys
  signing::Shared shared;
  int fetches = 0;
  std::map<std::string, std::string> certificates_at;  // x5u -> PEM, for the fetcher; anything else is a failure
  std::unique_ptr<signing::Role> role;
  std::vector<Error> refusals;  // what the router's sink heard

 private:
  Clock clock();
  std::shared_ptr<const http::ClientTable> make_clients(http::MsDialect dialect, tokens::Attest max_attest) const;
  std::shared_ptr<const http::ClientTable> clients_;
  http::Router router_;
};

// The signing request of design section 7.
boost::json::object avatar_request();
boost::json::object shaken_request();
boost::json::object parse(const http::Response& response);

}  // namespace avseal::test
