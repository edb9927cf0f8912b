// What the keyring costs per signature: an echo worker in another thread answers at once with a signature of the right
// size, so that no HSM and (but for the first) no verification is measured.
//   signatures: how many are waited for together; 1 shows the latency of a single request.
#include <filesystem>
#include <stdlib.h>
#include <thread>

#include <benchmark/benchmark.h>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>
#include <boost/asio/write.hpp>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <spdlog/spdlog.h>

#include "keyring/keyring.hpp"
#include "tokend/protocol.hpp"

namespace avseal::ledger {
// In the place of ledger/'s own: checkpoints need no slot, so that the ledger is not measured.
class Checkpointer {
 public:
  static CheckpointPermit permit() { return {}; }
};
}  // namespace avseal::ledger

namespace {

using namespace avseal;
namespace asio = boost::asio;
using Socket = asio::local::stream_protocol::socket;

// Any process: a key, its public key file, a directory.
struct Site {
  Site() : key(EVP_EC_gen("P-256"), &EVP_PKEY_free) {
    std::string name = "/tmp/avseal-bench-XXXXXX";
    directory = mkdtemp(name.data());
    BIO* bio = BIO_new_file((directory / "ledger.pem").c_str(), "w");
    PEM_write_bio_PUBKEY(bio, key.get());
    BIO_free(bio);
  }
  Site(const Site&) = delete;
  Site& operator=(const Site&) = delete;
  ~Site() {
    std::error_code ignored;
    std::filesystem::remove_all(directory, ignored);
  }
  Bytes sign(ByteView input) const {
    EVP_MD_CTX* context = EVP_MD_CTX_new();
    Bytes der(128);
    std::size_t size = der.size();
    EVP_DigestSignInit(context, nullptr, EVP_sha256(), nullptr, key.get());
    EVP_DigestSign(context, der.data(), &size, input.data(), input.size());
    EVP_MD_CTX_free(context);
    der.resize(size);
    return tokens::signature_from_der(der, 64).value();
  }
  std::shared_ptr<EVP_PKEY> key;
  std::filesystem::path directory;
};

// All requests have the same input, so one signature answers them all.
asio::awaitable<void> echo(Socket socket, const Site& site) {
  tokend::ServerHello hello;
  hello.instance = "echo";
  hello.keys.push_back({"log", "ledger", "ES256", tokens::PublicKey(site.key).spki()});
  Bytes out;
  tokend::append_server_hello(out, hello).value();
  tokend::FrameReader reader;
  tokend::Reply reply;
  bool greeted = false;
  for (;;) {
    while (const auto body = reader.next().value()) {
      if (!std::exchange(greeted, true)) continue;
      const auto request = tokend::decode_request(*body).value();
      if (reply.sequence == 0) reply.value = site.sign(request.input);
      reply.id = request.id;
      ++reply.sequence;
      tokend::append_reply(out, reply);
    }
    if (!out.empty()) {
      const auto [write_ec, written] =
          co_await asio::async_write(socket, asio::buffer(out), asio::as_tuple(asio::use_awaitable));
      if (write_ec) co_return;
      out.clear();
    }
    const auto room = reader.prepare();
    const auto [ec, size] =
        co_await socket.async_read_some(asio::buffer(room.data(), room.size()), asio::as_tuple(asio::use_awaitable));
    if (ec) co_return;
    reader.commit(size);
  }
}

asio::awaitable<void> accept(asio::local::stream_protocol::acceptor& acceptor, const Site& site) {
  for (;;) {
    auto [ec, socket] = co_await acceptor.async_accept(asio::as_tuple(asio::use_awaitable));
    if (ec) co_return;
    asio::co_spawn(acceptor.get_executor(), echo(std::move(socket), site), asio::detached);
  }
}

asio::awaitable<void> sign_one(keyring::Keyring& keyring, std::size_t& left, std::size_t& failed) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(5);
  const auto permit = ledger::Checkpointer::permit();
  const auto key = keyring.keys().primary(keyring::KeyKind::ledger).value();
  auto signature = co_await keyring.sign_checkpoint(permit, *key, "the same for all", deadline);
  if (!signature) ++failed;
  --left;
}

void sign(benchmark::State& state) {
  spdlog::set_level(spdlog::level::off);
  const Site site;
  asio::io_context worker_context{1};
  asio::local::stream_protocol::acceptor acceptor(worker_context, {(site.directory / "worker.sock").string()});
  asio::co_spawn(worker_context, accept(acceptor, site), asio::detached);
  std::thread worker([&] { worker_context.run(); });

  asio::io_context context{1};
  prometheus::Registry registry;
  keyring::KeyringConfig config;
  config.tokens = {{"hsm", {site.directory / "worker.sock"}}};
  config.keys = {{"log", keyring::KeyKind::ledger, site.directory / "ledger.pem", {"hsm"}, true}};
  config.verify_after_sign = 1U << 31;
  config.max_queue = 4096;
  const auto keys = keyring::Keys::load(config.keys, 0).value();
  auto opening =
      asio::co_spawn(context, keyring::Keyring::open(config, keys, context.get_executor(), registry), asio::use_future);
  while (opening.wait_for(std::chrono::seconds(0)) != std::future_status::ready) context.run_one();
  auto keyring = std::move(opening.get().value());

  const auto together = static_cast<std::size_t>(state.range(0));
  std::size_t failed = 0;
  for (auto iteration : state) {
    (void)iteration;
    std::size_t left = together;
    for (std::size_t i = 0; i < together; ++i) {
      asio::co_spawn(context, sign_one(*keyring, left, failed), asio::detached);
    }
    while (left > 0) context.run_one();
  }
  if (failed > 0) state.SkipWithError("a signature failed");
  state.SetItemsProcessed(state.iterations() * state.range(0));
  keyring.reset();
  context.poll();
  worker_context.stop();
  worker.join();
}
BENCHMARK(sign)->ArgName("together")->Arg(1)->Arg(8)->Arg(32)->Arg(128)->UseRealTime();

}  // namespace

BENCHMARK_MAIN();
