#include "device/enrollment.hpp"

#include <atomic>
#include <fstream>
#include <iterator>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "device/device.hpp"
#include "device/state.hpp"
#include "tests/unit/device/host.hpp"
#include "tests/unit/tpm/swtpm.hpp"
#include "tokens/ue_token.hpp"

namespace avseal::device {
namespace {

namespace fs = std::filesystem;
using test::Swtpm;
using ::testing::HasSubstr;
using Type = tpm::EkType;

constexpr std::string_view server = "https://op.example";

class EnrollmentTest : public ::testing::Test {
 protected:
  explicit EnrollmentTest(Swtpm::Setup setup = Swtpm::Setup::endorsed) : tpm_(setup) {}

  [[nodiscard]] DeviceConfig config() const {
    DeviceConfig config;
    config.state = tpm_.dir() / "ue";
    config.tcti = tpm_.tcti();
    return config;
  }

  std::unique_ptr<Device> initialised() {
    const auto outcome = Device::init(config());
    EXPECT_TRUE(outcome) << outcome.error().detail;
    return opened();
  }
  std::unique_ptr<Device> opened() {
    auto device = Device::open(config());
    EXPECT_TRUE(device) << device.error().detail;
    return device ? std::move(*device) : nullptr;
  }

  [[nodiscard]] EnrollmentRequest request(std::optional<Type> type = {}) const {
    return {.impu = impu_, .server = std::string(server), .code = "0123", .serial = "SN-1", .ek = type};
  }

  Result<tokens::Certificate> carry(Result<std::unique_ptr<Enrollment>> enrollment) {
    AVSEAL_TRY(const auto e, std::move(enrollment));
    AVSEAL_TRY(const Leg second, e->answer(host_.challenge(e->first())));
    return e->finish(host_.certificate(second));
  }
  Result<tokens::Certificate> enroll(Device& device, std::optional<Type> type = {}) {
    return carry(device.enroll(request(type)));
  }

  // A token of the device verifies under the certificate that it has now.
  void expect_token(Device& device) {
    const auto jwt = device.ue_token({.aud = "xr", .app = "meeting", .avatar_id = "urn:uuid:a"});
    ASSERT_TRUE(jwt) << jwt.error().detail;
    const auto token = tokens::parse_ue_token(*jwt).value();
    EXPECT_TRUE(tokens::verify_ue_token_signature(token));
    EXPECT_TRUE(token.leaf_fingerprint == device.certificate()->fingerprint());
  }

  [[nodiscard]] fs::path file(std::string_view name) const { return tpm_.dir() / "ue" / name; }
  [[nodiscard]] std::string text(std::string_view name) const {
    std::ifstream in(file(name));
    return {std::istreambuf_iterator<char>(in), {}};
  }
  void overwrite(std::string_view name, const std::string& content) const {
    std::ofstream(file(name), std::ios::trunc) << content;
  }

  Swtpm tpm_;
  test::Host host_{std::string(server)};
  tokens::Impu impu_ = tokens::Impu::parse("sip:alice@a.example").value();
};

class EnrollmentByTypeTest : public EnrollmentTest, public ::testing::WithParamInterface<Type> {
 protected:
  void SetUp() override {
    if (GetParam() == Type::p256) tpm_.add_p256_certificate();
  }
};

TEST_P(EnrollmentByTypeTest, EnrollsAndRenews) {
  auto device = initialised();
  const Bytes first = device->key_name();
  host_.want_pcrs({0, 1, 2, 3, 4, 5, 6, 7, 14});
  const auto leaf = enroll(*device, GetParam());
  ASSERT_TRUE(leaf) << leaf.error().detail;
  EXPECT_EQ(to_string(host_.type()), tpm::to_string(GetParam()));
  EXPECT_EQ(host_.request().at("code").as_string(), "0123");
  EXPECT_EQ(host_.request().at("serial").as_string(), "SN-1");
  EXPECT_TRUE(host_.request().at("ek").as_object().contains("platformCertificate"));
  EXPECT_EQ(host_.pcrs().size(), 9U);
  EXPECT_NE(device->key_name(), first);
  EXPECT_EQ(device->certificate()->pem(), leaf->pem());
  ASSERT_TRUE(device->enrolled().has_value());
  EXPECT_EQ(device->enrolled()->device, host_.device());
  EXPECT_EQ(device->enrolled()->ek, tpm::to_string(GetParam()));
  EXPECT_EQ(device->enrolled()->impu, impu_.canonical());
  expect_token(*device);

  const Bytes second = device->key_name();
  const auto renewed = carry(device->renew());
  ASSERT_TRUE(renewed) << renewed.error().detail;
  EXPECT_NE(device->key_name(), second);
  expect_token(*device);

  const Bytes third = device->key_name();
  device.reset();
  const auto again = opened();
  EXPECT_EQ(again->key_name(), third);
  EXPECT_EQ(again->certificate()->pem(), renewed->pem());
  expect_token(*again);
  EXPECT_TRUE(again->test_attestation());
}

INSTANTIATE_TEST_SUITE_P(All, EnrollmentByTypeTest, ::testing::ValuesIn(tpm::ek_types), [](const auto& type) {
  std::string name(tpm::to_string(type.param));
  std::erase(name, '-');
  return name;
});

TEST_F(EnrollmentTest, FitsIntoThreeSlotsWithNothingPersistent) {
  // Another key at the SRK's handle, no EK at its place: SRK, AK and EK are all transient.
  ASSERT_EQ(tpm_.tool("tpm2_evictcontrol -Q -C o -c 0x81010001 && tpm2_createprimary -Q -C o -G rsa -c p.ctx && "
                      "tpm2_evictcontrol -Q -C o -c p.ctx 0x81000001 && tpm2_flushcontext -t"),
            0);
  const auto device = initialised();
  EXPECT_FALSE(device->srk_persistent());
  host_.want_pcrs({0, 7});
  const auto leaf = enroll(*device, Type::rsa2048);
  ASSERT_TRUE(leaf) << leaf.error().detail;
  ASSERT_TRUE(carry(device->renew()));
  expect_token(*device);
}

TEST_F(EnrollmentTest, NothingStaysInTheTpm) {
  {
    const auto device = initialised();
    ASSERT_TRUE(enroll(*device));
    ASSERT_TRUE(carry(device->renew()));
    const auto given_up = device->renew();
    ASSERT_TRUE(given_up);
    EXPECT_FALSE((*given_up)->answer("{}"));
  }
  EXPECT_EQ(tpm_.tool("test -z \"$(tpm2_getcap handles-transient)$(tpm2_getcap handles-loaded-session)\""), 0);
}

TEST_F(EnrollmentTest, OldKeyWorksUntilTheNewCertificateIsOnDisk) {
  const auto device = initialised();
  ASSERT_TRUE(enroll(*device));
  const std::string state = text(files::state);
  const Bytes old_key = device->key_name();
  const auto unchanged = [&] {
    EXPECT_EQ(text(files::state), state);
    EXPECT_EQ(device->key_name(), old_key);
    expect_token(*device);
    expect_token(*opened());
  };
  {
    const auto dropped = device->renew().value();
    unchanged();
    ASSERT_TRUE(dropped->answer(host_.challenge(dropped->first())));
    unchanged();
  }
  const auto renewal = device->renew().value();
  const Leg second = renewal->answer(host_.challenge(renewal->first())).value();
  const auto refused = renewal->finish(host_.issued(test::SoftwareKey().public_key(), impu_));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason, "ue-certificate-refused");
  unchanged();
  const std::string issued = host_.certificate(second);
  const auto generation = parse_state(state)->generation + 1;
  const fs::path obstacle = file(files::chain(generation) + ".new");
  fs::create_directories(obstacle / "not empty");
  EXPECT_FALSE(renewal->finish(issued)) << "the certificate cannot be written";
  unchanged();
  fs::remove_all(obstacle);
  ASSERT_TRUE(renewal->finish(issued)) << "the same enrollment may end later";
  EXPECT_NE(device->key_name(), old_key);
  expect_token(*device);
}

TEST_F(EnrollmentTest, OtherProcessesTakeTheNewKeyOver) {
  auto device = initialised();
  ASSERT_TRUE(enroll(*device));
  const auto other = opened();  // another process
  EXPECT_EQ(other->key_name(), device->key_name());
  ASSERT_TRUE(carry(device->renew()));
  const Bytes name = device->key_name();
  const auto fingerprint = device->certificate()->fingerprint();
  device.reset();
  EXPECT_TRUE(other->certificate()->fingerprint() == fingerprint) << "for the SDP";
  expect_token(*other);
  EXPECT_EQ(other->key_name(), name);
  // A state that is damaged is not taken; what was read before goes on.
  const std::string good = text(files::state);
  overwrite(files::state, "{}");
  expect_token(*other);
  overwrite(files::state, good);
  expect_token(*other);
}

TEST_F(EnrollmentTest, OlderKeysGo) {
  const auto device = initialised();
  ASSERT_TRUE(enroll(*device));
  ASSERT_TRUE(carry(device->renew()));
  EXPECT_TRUE(fs::exists(file(files::key(1)))) << "for processes that read the state a moment ago";
  ASSERT_TRUE(carry(device->renew()));
  for (const std::string& gone : {files::key(0), files::auth(0), files::key(1), files::auth(1), files::chain(1)}) {
    EXPECT_FALSE(fs::exists(file(gone))) << gone;
  }
  EXPECT_TRUE(fs::exists(file(files::key(2))));
  EXPECT_TRUE(fs::exists(file(files::key(3))));
}

TEST_F(EnrollmentTest, SignsOnWhileTheKeyIsRolled) {
  const auto device = initialised();
  ASSERT_TRUE(enroll(*device));
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  std::atomic<int> tokens{0};
  for (int i = 0; i < 3; ++i) {
    threads.emplace_back([&] {
      while (!stop) {
        const auto jwt = device->ue_token({.aud = "xr", .app = "m", .avatar_id = "a"});
        EXPECT_TRUE(jwt) << jwt.error().detail;
        if (jwt) {
          EXPECT_TRUE(tokens::verify_ue_token_signature(tokens::parse_ue_token(*jwt).value()));
        }
        ++tokens;
      }
    });
  }
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(carry(device->renew()));
  stop = true;
  for (auto& thread : threads) thread.join();
  EXPECT_GT(tokens, 5);
}

TEST_F(EnrollmentTest, StateOfTheFirstVersionEnrolls) {
  const std::string name = tokens::hex_encode(initialised()->key_name());
  std::string state = text(files::state);
  state.replace(state.find("\"generation\":0,"), 15, "");
  state.replace(state.find("\"version\":2"), 11, "\"version\":1");
  overwrite(files::state, state);
  const auto device = opened();
  EXPECT_EQ(tokens::hex_encode(device->key_name()), name);
  EXPECT_EQ(device->renew().error().reason, "device-not-enrolled");
  ASSERT_TRUE(enroll(*device));
  expect_token(*opened());
}

TEST_F(EnrollmentTest, EachEnrollmentHasItsOwnAttestationKeyAndTheSameDevice) {
  const auto device = initialised();
  ASSERT_TRUE(enroll(*device, Type::p384));
  const Enrolled first = *device->enrolled();
  auto again = request();
  again.code.clear();
  again.serial.clear();
  ASSERT_TRUE(carry(device->enroll(again)));
  EXPECT_EQ(device->enrolled()->ek, "p-384") << "the endorsement key of the last enrollment";
  EXPECT_EQ(device->enrolled()->device, first.device);
  EXPECT_NE(device->enrolled()->ak_name, first.ak_name);
  EXPECT_FALSE(host_.request().contains("code") || host_.request().contains("serial"));
}

TEST_F(EnrollmentTest, OneEnrollmentAtATime) {
  const auto device = initialised();
  const auto first = device->enroll(request());
  ASSERT_TRUE(first);
  EXPECT_EQ(device->enroll(request()).error().reason, "state-busy");
  EXPECT_EQ(opened()->enroll(request()).error().reason, "state-busy");
}

TEST_F(EnrollmentTest, AnswersOfAnotherServerOrShapeAreRefused) {
  const auto device = initialised();
  const auto enrollment = device->enroll(request()).value();
  const std::string good = host_.challenge(enrollment->first());
  const auto edited = [&](const std::string& from, const std::string& to) {
    std::string bad = good;
    bad.replace(bad.find(from), from.size(), to);
    return enrollment->answer(bad).error().reason;
  };
  EXPECT_EQ(edited("op.example", "evil.example"), "enrollment-server-mismatch");
  EXPECT_EQ(edited("\"credential\"", "\"credentials\""), "member-unknown");
  EXPECT_EQ(edited("\"nonce\":\"", "\"nonce\":\"AAAA"), "enrollment-answer-malformed");
  EXPECT_EQ(edited("\"blob\":\"AE", "\"blob\":\"BE"), "tpm-structure-malformed");
  EXPECT_EQ(enrollment->finish("{}").error().reason, "enrollment-wrong-order");
  const auto second = enrollment->answer(good);
  ASSERT_TRUE(second) << second.error().detail;
  EXPECT_EQ(enrollment->answer(good).error().reason, "enrollment-wrong-order");
  EXPECT_FALSE(enrollment->finish("{}"));
  const auto other_impu = tokens::Impu::parse("sip:mallory@a.example").value();
  const auto csr = boost::json::parse(second->body).as_object().at("csr").as_string();
  const auto key = tokens::CertificateRequest::from_der(tokens::base64url_decode(csr).value())->key;
  EXPECT_EQ(enrollment->finish(host_.issued(key, other_impu)).error().reason, "ue-certificate-refused");
  ASSERT_TRUE(enrollment->finish(host_.certificate(*second)));
}

TEST_F(EnrollmentTest, RenewalTakesNoCredential) {
  const auto device = initialised();
  ASSERT_TRUE(enroll(*device));
  const auto renewal = device->renew().value();
  std::string challenge = host_.challenge(renewal->first());
  challenge.insert(1, R"("credential":{"blob":"AA","secret":"AA"},)");
  EXPECT_EQ(renewal->answer(challenge).error().reason, "enrollment-answer-malformed");
}

TEST_F(EnrollmentTest, CredentialOfAnotherEndorsementKeyIsSaid) {
  const auto device = initialised();
  const auto enrollment = device->enroll(request(Type::p384)).value();
  // Made for a key of the host's own: the blob of one answer, the secret of another.
  auto mixed = boost::json::parse(host_.challenge(enrollment->first())).as_object();
  const auto other = boost::json::parse(host_.challenge(enrollment->first())).as_object();
  mixed["credential"].as_object()["secret"] = other.at("credential").at("secret");
  const auto refused = enrollment->answer(boost::json::serialize(mixed));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason, "tpm-credential-refused");
}

TEST_F(EnrollmentTest, OutlivesResetsBetweenItsLegs) {
  const auto device = initialised();
  auto enrollment = device->enroll(request()).value();
  tpm_.restart();
  const auto second = enrollment->answer(host_.challenge(enrollment->first()));
  ASSERT_TRUE(second) << second.error().detail;
  tpm_.restart();
  ASSERT_TRUE(enrollment->finish(host_.certificate(*second)));
  expect_token(*device);
  enrollment.reset();
  tpm_.restart();
  ASSERT_TRUE(carry(device->renew()));
  expect_token(*device);
}

TEST_F(EnrollmentTest, CutConnectionsAreMendedAndLeaveNothing) {
  test::Relay relay(tpm_);
  ASSERT_TRUE(initialised());
  DeviceConfig through = config();
  through.tcti = relay.tcti();
  const auto device = Device::open(through).value();
  for (int cut = 0; cut < 6; ++cut) {  // swtpm has three slots
    relay.cut_after(3 * cut);
    const auto leaf = enroll(*device);
    ASSERT_TRUE(leaf) << cut << ": " << leaf.error().detail;
  }
  expect_token(*device);
}

TEST_F(EnrollmentTest, ClearedTpmIsSaidAndANewStateDirectoryIsTheSameDevice) {
  const auto device = initialised();
  ASSERT_TRUE(enroll(*device));
  const std::string id = device->enrolled()->device;
  ASSERT_EQ(tpm_.tool("tpm2_clear -Q"), 0);
  for (const Error& error :
       {device->renew().error(), device->test_attestation().error(), opened()->enroll(request()).error()}) {
    EXPECT_EQ(error.reason, "tpm-srk-mismatch");
    EXPECT_THAT(error.detail, HasSubstr("cleared or replaced"));
    EXPECT_THAT(error.detail, HasSubstr("enroll again"));
  }
  fs::rename(tpm_.dir() / "ue", tpm_.dir() / "lost");
  const auto fresh = initialised();
  ASSERT_TRUE(enroll(*fresh));
  EXPECT_EQ(fresh->enrolled()->device, id);
}

TEST_F(EnrollmentTest, AnotherAttestationKeyIsSaid) {
  ASSERT_TRUE(enroll(*initialised()));
  std::string state = text(files::state);
  const std::size_t unique = state.find("\"unique\":\"") + 10;
  state[unique] = state[unique] == '0' ? '1' : '0';
  overwrite(files::state, state);
  EXPECT_EQ(opened()->renew().error().reason, "tpm-ak-mismatch");
  EXPECT_EQ(opened()->test_attestation().error().reason, "tpm-ak-mismatch");
  ASSERT_TRUE(enroll(*opened())) << "an enrollment makes a new one";
}

TEST_F(EnrollmentTest, PcrChangeShowsInTheQuote) {
  const auto device = initialised();
  host_.want_pcrs({4, 7});
  ASSERT_TRUE(enroll(*device));
  const auto before = host_.pcrs();
  ASSERT_EQ(tpm_.tool("tpm2_pcrextend 7:sha256=" + std::string(64, 'b')), 0);
  ASSERT_TRUE(carry(device->renew()));
  EXPECT_EQ(host_.pcrs().at(4), before.at(4));
  EXPECT_NE(host_.pcrs().at(7), before.at(7));
  expect_token(*device);
}

TEST_F(EnrollmentTest, SecretsNeverTravelInClear) {
  const test::Relay relay(tpm_);
  ASSERT_TRUE(initialised());
  DeviceConfig through = config();
  through.tcti = relay.tcti();
  const auto device = Device::open(through).value();
  ASSERT_TRUE(enroll(*device));
  const std::string auth = text(files::auth(1));
  ASSERT_EQ(auth.size(), 32U);
  EXPECT_FALSE(relay.saw(as_bytes(auth)));
  EXPECT_FALSE(relay.saw(host_.secret()));
  EXPECT_TRUE(relay.saw(device->enrolled()->ak_unique)) << "what is no secret is seen: the relay looks both ways";
}

TEST_F(EnrollmentTest, EndorsementPasswordIsSaid) {
  const auto device = initialised();
  ASSERT_EQ(tpm_.tool("tpm2_changeauth -Q -c e secret"), 0);
  const auto refused = device->enroll(request());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason, "tpm-auth-refused");
  EXPECT_THAT(refused.error().detail, HasSubstr("endorsement hierarchy"));
}

TEST_F(EnrollmentTest, CertificateOfAnotherTpmIsSaidBeforeTheCodeIsSpent) {
  const Swtpm foreign(Swtpm::Setup::endorsed);
  ASSERT_EQ(tpm_.tool("openssl version >/dev/null && cp '" + foreign.dir().string() +
                      "/certs/ek-rsa2048.crt' f && "
                      "tpm2_nvdefine -Q 0x01C0000A -C o -s $(stat -c %s f) -a 'ownerwrite|ownerread|authread|no_da' && "
                      "tpm2_nvwrite -Q 0x01C0000A -C o -i f"),
            0);
  const auto refused = initialised()->enroll(request(Type::p256));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason, "tpm-ek-mismatch");
}

class BareEnrollmentTest : public EnrollmentTest {
 protected:
  BareEnrollmentTest() : EnrollmentTest(Swtpm::Setup::bare) {}
};

TEST_F(BareEnrollmentTest, MissingEndorsementCertificateIsSaid) {
  const auto refused = initialised()->enroll(request());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason, "ek-certificate-missing");
  EXPECT_THAT(refused.error().detail, HasSubstr("0x01C00002"));
}

}  // namespace
}  // namespace avseal::device
