#include "worker.hpp"

#include <csignal>
#include <cstring>
#include <set>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <gmock/gmock.h>
#include <openssl/x509.h>

#include "tokens/certificate_request.hpp"
#include "tokens/digest.hpp"

namespace avseal::tokend {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

TEST_F(WorkerTest, AnnouncesItsKeysAndSignsWithThem) {
  const auto worker = start(write_config());
  ASSERT_TRUE(worker->ready()) << worker->log();
  auto client = Client::connect(socket());
  ASSERT_TRUE(client);
  const auto hello = client->greet();
  ASSERT_TRUE(hello);
  EXPECT_TRUE(tokens::is_uuid(hello->instance));
  ASSERT_EQ(hello->keys.size(), 6U);
  for (const KeyInfo& key : hello->keys) {
    EXPECT_EQ(key.name, key.kind);
    if (key.kind == "dac-kek") {
      EXPECT_EQ(key.algorithm, "A256GCM");
      EXPECT_TRUE(key.spki.empty());
    } else {
      EXPECT_EQ(key.algorithm, "ES256");
      EXPECT_EQ(key.spki, public_keys.at(key.name).spki());
    }
  }
  EXPECT_EQ(hello->token.label, "test");
  EXPECT_EQ(hello->token.model, "SoftHSM v2");
  EXPECT_EQ(hello->token.firmware, "2.6");
  EXPECT_EQ(hello->token.serial.size(), 16U);
  EXPECT_EQ(hello->sessions, 1U);
  const std::map<std::string, std::string> inputs = {{"avatar-id", jws_input(passport_header)},
                                                     {"avatar-metadata", jws_input(metadata_header)},
                                                     {"access-token", jws_input(access_header)},
                                                     {"ledger", std::string(checkpoint)}};
  for (const auto& [key, input] : inputs) {
    const auto signature = client->ask(FrameType::sign, key, as_bytes(input));
    ASSERT_TRUE(signature) << key << ": " << signature.error().detail;
    EXPECT_TRUE(public_keys.at(key).verify(as_bytes(input), *signature));
  }
  for (const KeyInfo& key : hello->keys) EXPECT_EQ(key.sequence, 0U) << key.name;
  ASSERT_TRUE(client->ask(FrameType::sign, "ledger", as_bytes(checkpoint)));
  auto another = Client::connect(socket());
  ASSERT_TRUE(another);
  const auto later = another->greet();
  ASSERT_TRUE(later);
  for (const KeyInfo& key : later->keys) {
    EXPECT_EQ(key.sequence, inputs.count(key.name) + (key.name == "ledger" ? 1 : 0)) << key.name;
  }
}

TEST_F(WorkerTest, SignsUeCertificatesAndNothingElseWithTheCaKey) {
  const auto worker = start(write_config());
  ASSERT_TRUE(worker->ready()) << worker->log();
  Client client = connect();
  const auto issuer = tokens::Certificate::from_pem(ue_ca_pem);
  ASSERT_TRUE(issuer);
  const auto now = to_unix(std::chrono::system_clock::now());
  const auto impu = tokens::Impu::parse("sip:alice@a.example");
  ASSERT_TRUE(impu);
  Bytes serial = tokens::random_bytes(16);
  serial[0] = static_cast<std::uint8_t>((serial[0] & 0x3f) | 0x40);
  const auto tbs = tokens::build_ue_tbs({public_keys.at("ledger"), *impu, serial, now - 60, now + 86400}, *issuer);
  ASSERT_TRUE(tbs) << tbs.error().detail;
  const auto signature = client.ask(FrameType::sign, "ue-ca", *tbs);
  ASSERT_TRUE(signature) << signature.error().detail;
  EXPECT_TRUE(public_keys.at("ue-ca").verify(*tbs, *signature));

  const auto too_long =
      tokens::build_ue_tbs({public_keys.at("ledger"), *impu, serial, now - 60, now + 100 * 86400}, *issuer);
  ASSERT_TRUE(too_long);
  EXPECT_EQ(client.ask(FrameType::sign, "ue-ca", *too_long).error().reason, "not-of-key-kind");
  // The CA certificate's own TBSCertificate has CA:TRUE.
  unsigned char* der = nullptr;
  const int size = i2d_re_X509_tbs(issuer->native(), &der);
  ASSERT_GT(size, 0);
  const Bytes ca_tbs(der, der + size);
  OPENSSL_free(der);
  EXPECT_EQ(client.ask(FrameType::sign, "ue-ca", ca_tbs).error().reason, "not-of-key-kind");
  EXPECT_EQ(client.ask(FrameType::sign, "ue-ca", as_bytes(checkpoint)).error().reason, "not-of-key-kind");
}

TEST_F(WorkerTest, ATakenOverClientGetsNothingElseSigned) {
  const auto worker = start(write_config());
  ASSERT_TRUE(worker->ready()) << worker->log();
  Client client = connect();
  const Bytes digest(32, 0x11);
  const std::string probe = "avseal-probe-v1" + std::string(32, 'r');
  const std::string unknown_typ = jws_input(R"({"alg":"ES256","kid":"k","typ":"JWT"})");
  const std::map<std::string, std::string> own = {{"avatar-id", jws_input(passport_header)},
                                                  {"avatar-metadata", jws_input(metadata_header)},
                                                  {"access-token", jws_input(access_header)},
                                                  {"ledger", std::string(checkpoint)}};
  for (const std::string key : {"avatar-id", "avatar-metadata", "access-token", "ue-ca", "ledger", "dac-kek"}) {
    std::vector<std::string> inputs = {std::string(as_text(digest)), probe, unknown_typ, "x"};
    for (const auto& [other, input] : own) {
      if (other != key) inputs.push_back(input);
    }
    for (const std::string& input : inputs) {
      const auto signature = client.ask(FrameType::sign, key, as_bytes(input));
      ASSERT_FALSE(signature) << key << " signed " << input;
      EXPECT_EQ(signature.error().reason, "not-of-key-kind");
    }
    if (key == "dac-kek") continue;
    EXPECT_EQ(client.ask(FrameType::wrap, key, Bytes(32, 1)).error().reason, "not-of-key-kind");
    EXPECT_EQ(client.ask(FrameType::unwrap, key, Bytes(61, 1)).error().reason, "not-of-key-kind");
  }
  EXPECT_EQ(client.ask(FrameType::sign, "absent", digest).error().reason, "key-unknown");
  EXPECT_THAT(worker->log(), HasSubstr("event=refused key=ledger reason=not-of-key-kind"));
}

TEST_F(WorkerTest, ProbesTellNothingButSuccess) {
  const auto worker = start(write_config());
  ASSERT_TRUE(worker->ready()) << worker->log();
  Client client = connect();
  for (const pkcs11::KeyKind kind : pkcs11::all_key_kinds) {
    const auto answer = client.ask(FrameType::probe, pkcs11::to_string(kind), {});
    ASSERT_TRUE(answer) << answer.error().detail;
    EXPECT_TRUE(answer->empty());
  }
}

TEST_F(WorkerTest, WrapsAndUnwrapsDataKeys) {
  const auto worker = start(write_config());
  ASSERT_TRUE(worker->ready()) << worker->log();
  Client client = connect();
  const Bytes data_key(32, 0x77);
  const auto wrapped = client.ask(FrameType::wrap, "dac-kek", data_key, as_bytes("avatar 1"));
  ASSERT_TRUE(wrapped) << wrapped.error().detail;
  EXPECT_EQ(*client.ask(FrameType::unwrap, "dac-kek", *wrapped, as_bytes("avatar 1")), data_key);
  EXPECT_EQ(client.ask(FrameType::unwrap, "dac-kek", *wrapped, as_bytes("avatar 2")).error().reason, "wrapped-invalid");
}

// Several sessions share few requests, as short as those that no HSM sees: no answer waits for a further request.
TEST_F(WorkerTest, AnswersWithoutAFurtherRequest) {
  const auto worker = start(write_config("pin_file = \"pin\"\nsessions = 4\n"));
  ASSERT_TRUE(worker->ready()) << worker->log();
  Client client = connect();
  for (std::uint64_t round = 0; round < 3000; ++round) {
    Bytes frames;
    for (std::uint64_t i = 0; i < 4; ++i) {
      ASSERT_TRUE(append_request(frames, FrameType::unwrap, 4 * round + i, "dac-kek", as_bytes("of no form")));
    }
    ASSERT_TRUE(client.send(frames));
    for (int i = 0; i < 4; ++i) {
      const auto reply = client.reply();
      ASSERT_TRUE(reply) << "round " << round;
      ASSERT_EQ(reply->value.error().reason, "wrapped-invalid");
    }
  }
}

TEST_F(WorkerTest, AnswersPipelinedRequestsByTheirIds) {
  const auto worker = start(write_config("pin_file = \"pin\"\nsessions = 3\n"));
  ASSERT_TRUE(worker->ready()) << worker->log();
  Client client = connect();
  constexpr std::uint64_t count = 300;
  Bytes frames;
  for (std::uint64_t id = 0; id < count; ++id) {
    const std::string input = jws_input(passport_header, R"({"iat":)" + std::to_string(id) + "}");
    ASSERT_TRUE(append_request(frames, FrameType::sign, id, "avatar-id", as_bytes(input)));
  }
  ASSERT_TRUE(client.send(frames));
  std::set<std::uint64_t> ids;
  std::set<std::uint64_t> sequences;
  for (std::uint64_t i = 0; i < count; ++i) {
    const auto reply = client.reply();
    ASSERT_TRUE(reply && reply->value);
    const std::string input = jws_input(passport_header, R"({"iat":)" + std::to_string(reply->id) + "}");
    EXPECT_TRUE(public_keys.at("avatar-id").verify(as_bytes(input), *reply->value));
    ids.insert(reply->id);
    sequences.insert(reply->sequence);
  }
  EXPECT_EQ(ids.size(), count);
  EXPECT_EQ(*sequences.begin(), 1U);
  EXPECT_EQ(*sequences.rbegin(), count);
  EXPECT_EQ(sequences.size(), count);
}

TEST_F(WorkerTest, GarbageDropsTheConnectionAndNotTheWorker) {
  const auto worker = start(write_config());
  ASSERT_TRUE(worker->ready()) << worker->log();
  Client steady = connect();
  for (const Bytes& garbage :
       {Bytes{0xff, 0xff, 0xff, 0xff}, Bytes{0, 0, 0, 0}, Bytes{0, 0, 0, 1, 0x77}, Bytes{0, 0, 0, 2, 0x10, 1}}) {
    Client client = connect();
    ASSERT_TRUE(client.send(garbage));
    EXPECT_TRUE(client.dropped());
  }
  // A request before the hello, and a hello of another version.
  auto rude = Client::connect(socket());
  Bytes request;
  ASSERT_TRUE(append_request(request, FrameType::probe, 1, "ledger", {}));
  ASSERT_TRUE(rude && rude->send(request));
  EXPECT_TRUE(rude->receive());  // the worker's hello
  EXPECT_TRUE(rude->dropped());
  auto newer = Client::connect(socket());
  ASSERT_TRUE(newer && newer->send(Bytes{0, 0, 0, 3, 0x01, 0, 9}));
  EXPECT_TRUE(newer->receive());
  EXPECT_TRUE(newer->dropped());

  EXPECT_TRUE(steady.ask(FrameType::probe, "ledger", {}));
}

TEST_F(WorkerTest, AClientThatLeavesWithRequestsInFlightHarmsNobody) {
  const auto worker = start(write_config());
  ASSERT_TRUE(worker->ready()) << worker->log();
  {
    Client leaving = connect();
    Bytes frames;
    for (std::uint64_t id = 0; id < 200; ++id) {
      ASSERT_TRUE(append_request(frames, FrameType::sign, id, "ledger", as_bytes(checkpoint)));
    }
    ASSERT_TRUE(leaving.send(frames));
  }
  Client client = connect();
  EXPECT_TRUE(client.ask(FrameType::sign, "ledger", as_bytes(checkpoint)));
}

TEST_F(WorkerTest, TheRateCeilingRefuses) {
  const auto worker = start(write_config({}, "max_rate = 2\n"));
  ASSERT_TRUE(worker->ready()) << worker->log();
  Client client = connect();
  Bytes frames;
  for (std::uint64_t id = 0; id < 50; ++id) {
    ASSERT_TRUE(append_request(frames, FrameType::sign, id, "ledger", as_bytes(checkpoint)));
  }
  ASSERT_TRUE(client.send(frames));
  int refused = 0;
  for (int i = 0; i < 50; ++i) {
    const auto reply = client.reply();
    ASSERT_TRUE(reply);
    if (reply->value) continue;
    EXPECT_EQ(reply->value.error().reason, "rate-exceeded");
    EXPECT_EQ(reply->value.error().category, Category::too_many_requests);
    ++refused;
  }
  EXPECT_GT(refused, 0);
}

TEST_F(WorkerTest, TwoWorkersShareOneToken) {
  const auto config = write_config();
  const auto first = start(config, "one");
  ASSERT_TRUE(first->ready()) << first->log();
  const auto second = start(config, "two");
  ASSERT_TRUE(second->ready()) << second->log();
  Client one = connect("one");
  Client two = connect("two");
  const auto signature = one.ask(FrameType::sign, "ledger", as_bytes(checkpoint));
  const auto wrapped = one.ask(FrameType::wrap, "dac-kek", Bytes(32, 3));
  ASSERT_TRUE(signature && wrapped);
  EXPECT_TRUE(two.ask(FrameType::sign, "ledger", as_bytes(checkpoint)));
  EXPECT_EQ(*two.ask(FrameType::unwrap, "dac-kek", *wrapped), Bytes(32, 3));
}

TEST_F(WorkerTest, AnswersWhatItHasReadBeforeItLeaves) {
  const auto worker = start(write_config());
  ASSERT_TRUE(worker->ready()) << worker->log();
  Client client = connect();
  constexpr std::uint64_t count = 100;
  Bytes frames;
  for (std::uint64_t id = 0; id < count; ++id) {
    ASSERT_TRUE(append_request(frames, FrameType::sign, id, "ledger", as_bytes(checkpoint)));
  }
  ASSERT_TRUE(client.send(frames));
  ASSERT_TRUE(client.reply());  // all of them were read together
  worker->signal(SIGTERM);
  std::uint64_t answered = 1;
  while (client.reply()) ++answered;
  EXPECT_EQ(answered, count);
  EXPECT_EQ(worker->wait(), 0) << worker->log();
}

TEST_F(WorkerTest, TheSocketIsForItsGroupAndReplacedWhenNobodyListens) {
  const auto config = write_config();
  {
    const auto worker = start(config);
    ASSERT_TRUE(worker->ready()) << worker->log();
    struct stat status {};
    ASSERT_EQ(::stat(socket().c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0660U);
    const auto second = std::make_unique<WorkerProcess>(config, socket(), softhsm.directory.path() / "second.log");
    EXPECT_EQ(second->wait(), 1);
    EXPECT_THAT(second->last_line(), HasSubstr("another process listens on it"));
    EXPECT_TRUE(connect().ask(FrameType::probe, "ledger", {}));
  }
  const auto next = start(config);  // the first was killed and left its socket file
  EXPECT_TRUE(next->ready()) << next->log();
}

TEST_F(WorkerTest, ASocketPathThatIsAFileIsLeftAlone) {
  std::ofstream(socket()) << "precious";
  const auto worker = start(write_config());
  EXPECT_EQ(worker->wait(), 1);
  EXPECT_THAT(worker->last_line(), HasSubstr("no socket is in its place"));
  EXPECT_TRUE(std::filesystem::is_regular_file(socket()));
}

TEST_F(WorkerTest, AWrongPinEndsItForGood) {
  softhsm.directory.write("pin", "not-the-pin\n");
  const auto config = write_config();
  const auto worker = start(config);
  EXPECT_EQ(worker->wait(), 2);
  EXPECT_THAT(worker->last_line(), StartsWith("avseal-tokend: token \"test\" refused the PIN"));
  EXPECT_EQ(worker->log().find("not-the-pin"), std::string::npos);
  // The token now reports a low count, so even the right PIN waits for an operator.
  softhsm.directory.write("pin", "1234-user\n");
  const auto next = start(config, "next");
  EXPECT_EQ(next->wait(), 2);
  EXPECT_THAT(next->last_line(), HasSubstr("CKF_USER_PIN_COUNT_LOW"));
}

TEST_F(WorkerTest, ErrorsAtTheStartAreOneSentenceAndACode) {
  const auto module = std::string("module = \"") + pkcs11::softhsm + "\"\n";
  const std::string key = "[[keys]]\nname = \"k\"\nkind = \"avatar-id\"\nuri = \"pkcs11:object=";
  const std::string token = "token = \"pkcs11:token=test\"\nstate_directory = \".\"\npin_file = \"pin\"\n";
  struct Case {
    std::string config;
    std::string sentence;
    int code = 2;
  };
  const std::vector<Case> cases = {
      {module + "token = \"pkcs11:token=other\"\nstate_directory = \".\"\npin_file = \"pin\"\n" + key + "avatar-id\"\n",
       "no token matches", 3},
      {module + token + key + "absent\"\n", "no key matches", 3},
      {module + token + key + "dac-kek\"\n", "no key matches", 3},
      {module + "token = \"pkcs11:token=test\"\nstate_directory = \".\"\npin_file = \"absent\"\n" + key +
           "avatar-id\"\n",
       "No such file"},
      {"module = \"/nonexistent.so\"\n" + token + key + "avatar-id\"\n", "cannot load the PKCS#11 module"},
      {module + "token = \"pkcs11:token=test\"\npin_file = \"pin\"\n" + key + "avatar-id\"\n",
       "state_directory: expected"},
      {module + "token = \"pkcs11:token=test\"\npin_file = \"pin\"\nstate_directory = \"absent\"\n" + key +
           "avatar-id\"\n",
       "absent is no directory"},
      {module + token + key + "avatar-id\"\ncolour = \"red\"\n", "tokend.toml:9: colour: is not known here"},
      {module + token + "[socket]\nallow_users = [\"no-such-user\"]\n" + key + "avatar-id\"\n", "there is no user"},
      {module + token + key +
           "ledger\"\n[[keys]]\nname = \"l\"\nkind = \"ledger\"\norigin = \"o\"\nuri = \"pkcs11:object=ledger\"\n",
       "a key has one kind"},
      {module + token +
           "[[keys]]\nname = \"ca\"\nkind = \"ue-ca\"\nmax_validity_days = 1\nissuer_certificate = \"ue-ca.pem\"\n"
           "uri = \"pkcs11:object=avatar-id\"\n",
       "not the certificate of the key"},
  };
  for (const auto& [text, expected, code] : cases) {
    const auto worker = start(softhsm.directory.write("tokend.toml", text));
    EXPECT_EQ(worker->wait(), code) << worker->log();
    EXPECT_THAT(worker->last_line(), StartsWith("avseal-tokend: "));
    EXPECT_THAT(worker->last_line(), HasSubstr(expected));
  }
}

TEST_F(WorkerTest, TwoKeysWithOneLabelEndIt) {
  {
    const auto module = pkcs11::Module::load(pkcs11::softhsm);
    const auto token = pkcs11::Token::find(*module, *pkcs11::Uri::parse_token("pkcs11:token=test"));
    auto session = pkcs11::Session::open(*token, pkcs11::Session::Access::read_write);
    ASSERT_TRUE(session && session->login(pkcs11::secret("1234-user")));
    pkcs11::Template key;
    key.add(CKA_LABEL, std::string_view("dac-kek")).number(CKA_VALUE_LEN, 32).flag(CKA_TOKEN, true);
    CK_MECHANISM mechanism{CKM_AES_KEY_GEN, nullptr, 0};
    CK_OBJECT_HANDLE handle = 0;
    ASSERT_EQ(session->api().C_GenerateKey(session->handle(), &mechanism, key.attributes().data(),
                                           key.attributes().size(), &handle),
              CKR_OK);
  }
  const auto worker = start(write_config());
  EXPECT_EQ(worker->wait(), 2);
  EXPECT_THAT(worker->last_line(), HasSubstr("2 keys match \"pkcs11:object=dac-kek\""));
}

}  // namespace
}  // namespace avseal::tokend
