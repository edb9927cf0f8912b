// The keyring with real avseal-tokend processes over SoftHSM.
#include <set>
#include <signal.h>
#include <thread>

#include <boost/asio/executor_work_guard.hpp>
#include <fmt/format.h>
#include <gmock/gmock.h>

#include "keyring/workers.hpp"
#include "support.hpp"
#include "tests/unit/pkcs11/fixture.hpp"
#include "tokens/jws.hpp"

namespace avseal::keyring::testing {
namespace {

using ::testing::HasSubstr;

// One SoftHSM token for all tests of a process, for the module reads its configuration once.
class Site {
 public:
  Site() {
    auto module = pkcs11::Module::load(pkcs11::softhsm).value();
    auto token =
        pkcs11::Token::init(module, "keyring-test", pkcs11::secret("so-87654321"), pkcs11::secret("user-1234"));
    auto session = pkcs11::Session::open(token.value(), pkcs11::Session::Access::read_write).value();
    session.login(pkcs11::secret("user-1234")).value();
    pkcs11::NewKey signer;
    signer.kind = pkcs11::KeyKind::avatar_id;
    signer.label = "signer";
    public_key = pkcs11::generate_key(session, signer).value().public_key;
    pkcs11::NewKey kek;
    kek.kind = pkcs11::KeyKind::dac_kek;
    kek.label = "kek";
    pkcs11::generate_key(session, kek).value();
    hsm.directory.write("pin", "user-1234\n");
    hsm.directory.write("avatar-id.pem", SoftKey().certificate_pem_for(*public_key));
    write_config("tokend.toml", "pin", "keyring-test");
    write_config("no-token.toml", "pin", "absent");
  }
  std::filesystem::path file(const std::string& name) const { return hsm.directory.path() / name; }

  pkcs11::SoftHsm hsm;
  std::optional<tokens::PublicKey> public_key;

 private:
  void write_config(const std::string& name, std::string_view pin, std::string_view token) const {
    hsm.directory.write(name, fmt::format(R"(
module = "{}"
token = "pkcs11:token={}"
state_directory = "."
pin_file = "{}"
sessions = 1
log_level = "info"
[[keys]]
name = "signer"
kind = "avatar-id"
uri = "pkcs11:object=signer"
[[keys]]
name = "kek"
kind = "dac-kek"
uri = "pkcs11:object=kek"
)",
                                          pkcs11::softhsm, token, pin));
  }
};

class RealWorkersTest : public KeyringTest {
 protected:
  static void SetUpTestSuite() { site = std::make_unique<Site>(); }
  static void TearDownTestSuite() { site.reset(); }

  RealWorkersTest() : work(control.get_executor()), thread([this] { control.run(); }) {
    config.keys[0].certificate = site->file("avatar-id.pem");
  }
  ~RealWorkersTest() override {
    keyring.reset();
    processes.reset();
    work.reset();
    control.stop();
    thread.join();
  }

  Result<void> start_workers(unsigned count, const std::string& config_file = "tokend.toml") {
    WorkersConfig with;
    with.program = std::filesystem::path(AVSEAL_BINARY_DIR) / "bin" / "avseal-tokend";
    with.socket_directory = dir.path();
    with.tokens = {{"hsm", site->file(config_file), count}};
    with.start_limit = 30s;
    auto started = Workers::start(with, control);
    if (!started) return started.error();
    processes = std::move(*started);
    config.tokens[0].sockets = processes->sockets("hsm");
    return {};
  }
  static std::string passport(std::size_t number) {
    boost::json::object header{
        {"alg", "ES256"}, {"ppt", "avatar"}, {"typ", "passport"}, {"x5u", "https://a.example/c"}};
    boost::json::object claims{{"iat", 1763930000}, {"origid", std::to_string(number)}};
    return tokens::jws_signing_input(header, claims);
  }
  std::size_t ended() const {
    return static_cast<std::size_t>(
        std::count_if(signatures.begin(), signatures.end(), [](const auto& one) { return one.result.has_value(); }));
  }

  static std::unique_ptr<Site> site;
  asio::io_context control;
  asio::executor_work_guard<asio::io_context::executor_type> work;
  std::thread thread;
  std::unique_ptr<Workers> processes;
};
std::unique_ptr<Site> RealWorkersTest::site;

TEST_F(RealWorkersTest, SignWrapAndProbe) {
  const auto started = start_workers(1);
  ASSERT_TRUE(started) << started.error().detail;
  open();
  const auto signature = sign(passport(1));
  ASSERT_TRUE(signature) << signature.error().detail;
  EXPECT_TRUE(site->public_key->verify(as_bytes(passport(1)), *signature));
  EXPECT_EQ(sign("bytes that are no PASSporT").error().reason, "hsm-refused");

  const auto data_key = Secret::random(32);
  const auto soon = std::chrono::steady_clock::now() + 5s;
  const auto wrapped = run(keyring->wrap(data_key, as_bytes("avatar 1"), soon));
  ASSERT_TRUE(wrapped) << wrapped.error().detail;
  EXPECT_TRUE(run(keyring->unwrap(*wrapped, as_bytes("avatar 1"), soon)).value().equals(data_key.reveal()));
  EXPECT_EQ(run(keyring->unwrap(*wrapped, as_bytes("avatar 2"), soon)).error().reason, "wrapped-key-malformed");

  for (const auto& key : run(keyring->probe())) {
    EXPECT_TRUE(key.can_sign) << key.name;
    EXPECT_EQ(key.why_not, "");
  }
}

TEST_F(RealWorkersTest, KilledWorkersUnderLoadCostNoRequestAndNothingIsDoneTwice) {
  config.attempt_limit = 5s;  // a loaded machine must not look like a hung HSM here
  const auto started = start_workers(2);
  ASSERT_TRUE(started) << started.error().detail;
  open();
  constexpr std::size_t total = 1200;
  constexpr std::size_t at_once = 40;
  std::size_t begun = 0;
  std::size_t kills = 0;
  while (ended() < total) {
    while (begun < total && begun - ended() < at_once) begin(passport(begun++), 20s);
    if (kills < 3 && ended() > (kills + 1) * 250 && keyring->status()[0].why_not.empty()) {
      const auto pids = processes->pids();
      if (pids.size() == 2) {
        ASSERT_EQ(::kill(pids[kills % 2], SIGKILL), 0);
        ++kills;
      }
    }
    const auto before = ended();
    ASSERT_TRUE(run_until([&] { return ended() > before; }));
  }
  EXPECT_GE(kills, 2U);
  for (const auto& one : signatures) {
    ASSERT_TRUE(one.result->has_value()) << one.result->error().detail;
    EXPECT_TRUE(site->public_key->verify(as_bytes(one.input), one.result->value()));
  }
  // Of each worker process: its sequences from 1 without gap or repetition, but for what it had in flight when it died.
  std::map<std::string, std::set<std::int64_t>> sequences;
  std::set<std::string> digests;
  for (const auto& use : uses()) {
    EXPECT_EQ(use.at("outcome"), "signed");
    EXPECT_TRUE(digests.insert(std::string(use.at("digest").as_string())).second);
    EXPECT_TRUE(sequences[std::string(use.at("worker").as_string())].insert(use.at("sequence").as_int64()).second);
  }
  EXPECT_EQ(digests.size(), total);
  for (const auto& [instance, seen] : sequences) {
    std::size_t lost = 0;
    for (const auto& loss : losses) lost += loss.instance == instance ? loss.in_flight : 0;
    EXPECT_LE(static_cast<std::size_t>(*seen.rbegin()), seen.size() + lost) << instance;
  }
  EXPECT_EQ(losses.size(), kills);
}

TEST_F(RealWorkersTest, MissingTokenStopsTheStartWithOneSentence) {
  ASSERT_TRUE(start_workers(2, "no-token.toml"));
  const auto checked = check_replicas(config.keys, processes->absent());
  ASSERT_FALSE(checked);
  EXPECT_THAT(checked.error().detail, HasSubstr("an HSM worker did not start: key 'signer' is on no token"));
  EXPECT_THAT(checked.error().detail, HasSubstr("absent"));
}

// Other workers and another configuration take over while requests run: none is lost, none is done twice.
TEST_F(RealWorkersTest, ReloadUnderLoadCostsNoRequest) {
  config.attempt_limit = 5s;
  const auto started = start_workers(1);
  ASSERT_TRUE(started) << started.error().detail;
  open();
  constexpr std::size_t at_once = 40;
  std::size_t begun = 0;
  unsigned reloads = 0;
  std::size_t adopted = 0;
  while (adopted < 2 || ended() < begun) {
    while (adopted < 2 && begun - ended() < at_once) begin(passport(begun++), 60s);
    if (reloads < 2 && adopted == reloads && ended() > (reloads + 1) * 100) {
      const auto prepared = processes->prepare({{"hsm", site->file("tokend.toml"), 2 + reloads}});
      ASSERT_TRUE(prepared) << prepared.error().detail;
      config.tokens[0].sockets = processes->sockets("hsm");
      ASSERT_EQ(config.tokens[0].sockets.size(), 2 + reloads);
      std::optional<Result<std::shared_ptr<Prepared>>> next;
      asio::co_spawn(context, keyring->prepare(config, keys),
                     [&](std::exception_ptr, auto result) { next.emplace(std::move(result)); });
      ASSERT_TRUE(run_until([&] { return next.has_value(); }));
      ASSERT_TRUE(*next) << next->error().detail;
      asio::co_spawn(context, keyring->adopt(**next), [&](std::exception_ptr) {
        processes->adopt();
        ++adopted;
      });
      ++reloads;
    }
    const auto before = ended() + adopted;
    ASSERT_TRUE(run_until([&] { return ended() + adopted > before; }));
  }
  EXPECT_EQ(processes->pids().size(), 3U);
  for (const auto& one : signatures) {
    ASSERT_TRUE(one.result->has_value()) << one.result->error().detail;
    EXPECT_TRUE(site->public_key->verify(as_bytes(one.input), one.result->value()));
  }
  EXPECT_TRUE(losses.empty());
  EXPECT_EQ(counter("avseal_hsm_discarded_attempts_total", {{"key", "signer"}, {"reason", "worker-lost"}}), 0);
  EXPECT_EQ(uses().size(), begun);
}

TEST_F(RealWorkersTest, CertificateOfAnotherKeyStopsTheStart) {
  ASSERT_TRUE(start_workers(1));
  config.keys[0].certificate = dir / "avatar-id.pem";
  const auto opened = try_open();
  ASSERT_FALSE(opened);
  EXPECT_THAT(opened.error().detail, HasSubstr("not the certificate's"));
}

}  // namespace
}  // namespace avseal::keyring::testing
