// What the keyring's tests share: keys with certificates, a worker that does what the test says, a loop with a limit.
#pragma once

#include <filesystem>
#include <functional>
#include <list>
#include <map>
#include <stdlib.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <gtest/gtest.h>

#include "../support/temp_dir.hpp"
#include "keyring/keyring.hpp"
#include "ledger/ledger.hpp"
#include "tokend/protocol.hpp"

namespace avseal::keyring::testing {

using avseal::test::TempDir;

using namespace std::chrono_literals;
namespace asio = boost::asio;

void write_file(const std::filesystem::path& path, std::string_view text);

struct CertificateOptions {
  bool ca = false;
  bool digital_signature = true;
  bool ue_eku = false;
  long valid_from = -3600;  // seconds from now
  long valid_to = 3600;
};

// An EC key in software, in the place of the HSM's.
class SoftKey {
 public:
  explicit SoftKey(std::string_view curve = "P-256");
  Bytes sign(ByteView input) const;  // r || s
  tokens::PublicKey public_key() const { return tokens::PublicKey(key_); }
  std::string certificate_pem(const CertificateOptions& options = {}) const;
  // A certificate for another key, which this one signs.
  std::string certificate_pem_for(const tokens::PublicKey& subject, const CertificateOptions& options = {}) const;
  std::string public_pem() const;

 private:
  std::shared_ptr<evp_pkey_st> key_;
};

// A worker on the test's own loop. Each request goes to on_request, which answers, answers wrongly, or keeps it.
class FakeWorker {
 public:
  using Handler = std::function<void(FakeWorker&, tokend::Request)>;

  FakeWorker(asio::io_context& context, std::filesystem::path socket, std::string instance);
  ~FakeWorker() { kill(); }
  FakeWorker(const FakeWorker&) = delete;
  FakeWorker& operator=(const FakeWorker&) = delete;

  void offer(const std::string& name, const std::string& kind, const SoftKey& key);
  void offer_kek(const std::string& name);

  void listen();  // again after kill()
  void kill();    // the connections and the socket are gone, as with kill -9
  [[nodiscard]] std::size_t open_connections() const;
  void answer(const tokend::Request& request);
  void answer_badly(const tokend::Request& request);  // a signature over something else
  void fail(const tokend::Request& request, std::string_view reason);
  void answer_kept();  // in reverse order

  tokend::ServerHello hello;
  Handler on_request = [](FakeWorker& worker, const tokend::Request& request) { worker.answer(request); };
  std::vector<tokend::Request> kept;
  std::size_t seen = 0;  // requests, without probes
  std::size_t probes = 0;
  std::uint32_t recoveries = 0;  // in each reply
  std::size_t connections = 0;   // so far
  bool silent = false;           // sends no hello

  static void keep(FakeWorker& worker, tokend::Request request) { worker.kept.push_back(std::move(request)); }

 private:
  using Socket = asio::local::stream_protocol::socket;
  using Acceptor = asio::local::stream_protocol::acceptor;
  // After kill() neither touches the worker again, also when a connection or bytes had come before.
  asio::awaitable<void> accept_loop(std::shared_ptr<Acceptor> acceptor);
  asio::awaitable<void> serve(std::shared_ptr<Socket> socket);
  void send(tokend::Reply reply);

  asio::io_context& context_;
  std::filesystem::path path_;
  std::shared_ptr<Acceptor> acceptor_;
  // Requests get an id of their own here, for those of two connections may be equal.
  struct Origin {
    std::shared_ptr<Socket> socket;
    std::uint64_t id;
  };
  std::map<std::uint64_t, Origin> origins_;
  std::uint64_t last_id_ = 0;
  std::list<std::weak_ptr<Socket>> sockets_;
  std::map<std::string, SoftKey> keys_;
  std::map<std::string, std::uint64_t> sequences_;
};

// Two workers of one token, an avatar-id and a dac-kek key, a real ledger. Tests change what they need before open().
class KeyringTest : public ::testing::Test {
 protected:
  KeyringTest();
  ~KeyringTest() override;

  FakeWorker& add_worker(const std::string& token = "hsm");
  Result<void> try_open();
  void open();

  // Runs the loop until the condition holds; fails the test after ten seconds.
  bool run_until(const std::function<bool()>& condition);

  template <class T>
  T run(asio::awaitable<T> task) {
    std::optional<T> value;
    asio::co_spawn(context, std::move(task), [&value](std::exception_ptr thrown, T result) {
      if (thrown) std::rethrow_exception(thrown);
      value.emplace(std::move(result));
    });
    if (!run_until([&] { return value.has_value(); })) throw std::runtime_error("nothing happened for ten seconds");
    return std::move(*value);
  }

  struct Signed {
    std::string input;
    std::optional<Result<Bytes>> result;
    bool ok() const { return result && result->has_value(); }
  };
  // Begins a signature with a slot of its own; the slot is committed as released or refused when it ended.
  Signed& begin(std::string input, std::chrono::milliseconds deadline = 5s, Priority priority = Priority::live);
  Result<Bytes> sign(std::string input, std::chrono::milliseconds deadline = 5s);
  bool verifies(const Signed& one) const;
  // The members of "keys" of all leaves, in order; commits what waits.
  std::vector<boost::json::object> uses();
  double counter(const std::string& family, const std::map<std::string, std::string>& labels);

  TempDir dir;
  asio::io_context context;
  prometheus::Registry registry;
  SoftKey soft_key;
  KeyringConfig config;
  std::list<FakeWorker> workers;
  std::shared_ptr<const Keys> keys;
  std::unique_ptr<Keyring> keyring;
  std::shared_ptr<ledger::Ledger> ledger;
  std::list<Signed> signatures;
  std::vector<WorkerCounts> counts;
  std::vector<WorkerLoss> losses;

 private:
  asio::awaitable<void> sign_one(Signed& one, Deadline deadline, Priority priority);
};

}  // namespace avseal::keyring::testing
