// The CA key signs CRLs whose numbers rise, whatever becomes of the workers.
#include <csignal>
#include <cstdlib>
#include <set>

#include <gmock/gmock.h>

#include "../tokens/crl_maker.hpp"
#include "tokens/base64.hpp"
#include "tokens/der.hpp"
#include "tokens/digest.hpp"
#include "worker.hpp"

namespace avseal::tokend {
namespace {

using ::testing::HasSubstr;

class CrlTest : public WorkerTest {
 protected:
  void SetUp() override {
    WorkerTest::SetUp();
    issuer.emplace(tokens::Certificate::from_pem(ue_ca_pem).value());
  }
  [[nodiscard]] Bytes crl(const Bytes& number, std::int64_t days = 7) const {
    const auto now = to_unix(std::chrono::system_clock::now());
    return tokens::testing::make_crl_tbs(*issuer, {now, now + days * 86400, number, {Bytes(16, 0x55)}});
  }
  static std::string_view verdict(const Result<Bytes>& answer) {
    return answer ? std::string_view("signed") : answer.error().reason;
  }
  [[nodiscard]] std::filesystem::path number_file() const {
    const auto name = tokens::hex_encode(tokens::sha256(public_keys.at("ue-ca").spki()));
    return softhsm.directory.path() / ("crl-number-" + name);
  }
  std::optional<tokens::Certificate> issuer;
};

TEST_F(CrlTest, OpensslVerifiesASignedCrl) {
  const auto worker = start(write_config());
  ASSERT_TRUE(worker->ready()) << worker->log();
  Client client = connect();
  const Bytes tbs = crl({1});
  const auto signature = client.ask(FrameType::sign, "ue-ca", tbs);
  ASSERT_TRUE(signature) << signature.error().detail;
  const auto der = tokens::der::signed_object(tbs, tokens::Algorithm::es256, *signature);
  ASSERT_TRUE(der);
  const auto file = softhsm.directory.write("crl.der", as_text(*der));
  // Its exit code does not tell.
  const auto openssl_verifies = [&](const std::string& issuer_file) {
    return std::system(("openssl crl -inform DER -in " + file.string() + " -noout -CAfile " +
                        (softhsm.directory.path() / issuer_file).string() + " 2>&1 | grep -q '^verify OK'")
                           .c_str()) == 0;
  };
  EXPECT_TRUE(openssl_verifies("ue-ca.pem"));
  softhsm.directory.write("other.pem", make_ca_certificate(public_keys.at("ledger")));
  EXPECT_FALSE(openssl_verifies("other.pem"));
  EXPECT_EQ(verdict(client.ask(FrameType::sign, "ue-ca", crl({2}, 32))), "not-of-key-kind");
  EXPECT_EQ(verdict(client.ask(FrameType::sign, "ledger", crl({2}))), "not-of-key-kind");
}

TEST_F(CrlTest, NumbersRiseForAllWorkersOfAKeyAndAfterTheirEnd) {
  const auto config = write_config();
  const auto first = start(config, "one");
  ASSERT_TRUE(first->ready()) << first->log();
  const auto second = start(config, "two");
  ASSERT_TRUE(second->ready()) << second->log();
  Client one = connect("one");
  Client two = connect("two");
  const auto ask = [this](Client& client, const Bytes& number) {
    return verdict(client.ask(FrameType::sign, "ue-ca", crl(number)));
  };
  EXPECT_EQ(ask(one, {0xff}), "signed");
  EXPECT_EQ(ask(one, {0xff}), "crl-number-not-rising");
  EXPECT_EQ(ask(two, {0xff}), "crl-number-not-rising");
  EXPECT_EQ(ask(two, {0xfe}), "crl-number-not-rising");
  EXPECT_EQ(ask(two, {1, 0}), "signed");
  EXPECT_EQ(ask(one, {1, 0}), "crl-number-not-rising");
  EXPECT_THAT(first->log(), HasSubstr("event=refused key=ue-ca reason=crl-number-not-rising"));
  first->signal(SIGKILL);
  ASSERT_TRUE(first->wait());
  const auto third = start(config, "three");
  ASSERT_TRUE(third->ready()) << third->log();
  Client three = connect("three");
  EXPECT_EQ(ask(three, {1, 0}), "crl-number-not-rising");
  EXPECT_EQ(ask(three, {1, 1}), "signed");
}

// Many clients at two workers ask for the same numbers at the same time.
TEST_F(CrlTest, EachNumberIsSignedAtMostOnce) {
  const auto config = write_config("pin_file = \"pin\"\nsessions = 2\n");
  const auto first = start(config, "one");
  ASSERT_TRUE(first->ready()) << first->log();
  const auto second = start(config, "two");
  ASSERT_TRUE(second->ready()) << second->log();
  constexpr std::uint8_t numbers = 40;
  Bytes frames;
  for (std::uint8_t number = 1; number <= numbers; ++number) {
    ASSERT_TRUE(append_request(frames, FrameType::sign, number, "ue-ca", crl({number})));
  }
  std::vector<Client> clients;
  for (const char* name : {"one", "two", "one", "two"}) clients.push_back(connect(name));
  for (Client& client : clients) ASSERT_TRUE(client.send(frames));
  std::multiset<std::uint64_t> signed_numbers;
  for (Client& client : clients) {
    for (int i = 0; i < numbers; ++i) {
      const auto reply = client.reply();
      ASSERT_TRUE(reply);
      if (reply->value) {
        signed_numbers.insert(reply->id);
      } else {
        EXPECT_EQ(reply->value.error().reason, "crl-number-not-rising");
      }
    }
  }
  EXPECT_FALSE(signed_numbers.empty());
  for (const std::uint64_t number : signed_numbers) EXPECT_EQ(signed_numbers.count(number), 1U) << number;
}

TEST_F(CrlTest, NothingIsSignedWhenTheNumberCannotBeKept) {
  const auto worker = start(write_config());
  ASSERT_TRUE(worker->ready()) << worker->log();
  Client client = connect();
  softhsm.directory.write(number_file().filename(), "gibberish\n");
  EXPECT_EQ(verdict(client.ask(FrameType::sign, "ue-ca", crl({9}))), "state-unusable");
  std::filesystem::remove(number_file());
  std::filesystem::create_directory(number_file());
  EXPECT_EQ(verdict(client.ask(FrameType::sign, "ue-ca", crl({9}))), "state-unusable");
  std::filesystem::remove(number_file());
  EXPECT_EQ(verdict(client.ask(FrameType::sign, "ue-ca", crl({9}))), "signed");
  std::ifstream in(number_file());
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(in), {}), std::string(39, '0') + "9\n");
}

}  // namespace
}  // namespace avseal::tokend
