#include "device/device.hpp"

#include <fstream>
#include <iterator>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "device/state.hpp"
#include "tests/unit/mf/software_pki.hpp"
#include "tests/unit/tpm/swtpm.hpp"
#include "tokens/base64.hpp"
#include "tokens/certificate_request.hpp"
#include "tpm/keys.hpp"

namespace avseal::device {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class DeviceTest : public ::testing::Test {
 protected:
  [[nodiscard]] DeviceConfig config() const {
    DeviceConfig config;
    config.state = tpm_.dir() / "ue";
    config.tcti = tpm_.tcti();
    config.clock = [this] { return std::chrono::system_clock::now() + clock_offset_; };
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

  // A UE certificate by a software CA, from the device's own request.
  [[nodiscard]] std::string certify(Device& device, std::int64_t from = -60, std::int64_t until = 3600) const {
    const std::string pem = device.certificate_request(impu_).value();
    const auto request = tokens::CertificateRequest::from_pem(pem).value();
    const UnixSeconds now = to_unix(std::chrono::system_clock::now());
    Bytes serial = tokens::random_bytes(16);
    serial[0] = static_cast<std::uint8_t>((serial[0] & 0x3FU) | 0x40U);
    const Bytes tbs =
        tokens::build_ue_tbs(
            {.key = request.key, .impu = impu_, .serial = serial, .not_before = now + from, .not_after = now + until},
            ca_.certificate)
            .value();
    return tokens::assemble_certificate(tbs, ca_.certificate, ca_.key.sign(tbs)).value().pem();
  }

  [[nodiscard]] fs::path file(std::string_view name) const { return tpm_.dir() / "ue" / name; }
  [[nodiscard]] Bytes contents(std::string_view name) const {
    std::ifstream in(file(name), std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  void overwrite(std::string_view name, ByteView bytes) const {
    std::ofstream out(file(name), std::ios::binary | std::ios::trunc);
    out.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  }

  test::Swtpm tpm_;
  test::SoftwareCa ca_{"UE CA"};
  tokens::Impu impu_ = tokens::Impu::parse("sip:alice@a.example").value();
  std::chrono::seconds clock_offset_{0};
  UeTokenRequest token_{.aud = "xr-as-1", .app = "xr-meeting", .avatar_id = "urn:uuid:avatar-1"};
};

TEST_F(DeviceTest, InitTwiceKeepsTheKey) {
  EXPECT_EQ(Device::init(config()).value(), InitOutcome::created);
  const Bytes name = opened()->key_name();
  EXPECT_EQ(Device::init(config()).value(), InitOutcome::existing);
  EXPECT_EQ(opened()->key_name(), name);
  EXPECT_TRUE(opened()->srk_persistent());
}

TEST_F(DeviceTest, ConnectionsAreReported) {
  std::vector<std::string> heard;
  DeviceConfig listening = config();
  listening.on_connect = [&](const tpm::TpmInfo& info) { heard.push_back(info.tcti + " " + info.manufacturer); };
  const auto outcome = Device::init(listening);
  ASSERT_TRUE(outcome) << outcome.error().detail;
  EXPECT_THAT(heard, ::testing::ElementsAre(tpm_.tcti() + " IBM"));
}

TEST_F(DeviceTest, KeyFileLoadsWithOtherToolsAndHasExactlyItsAttributes) {
  ASSERT_TRUE(initialised());
  EXPECT_EQ(contents(files::key(0)).size(), 90U + 128U);
  ASSERT_EQ(tpm_.tool("head -c 90 ue/ue-key.tpm > k.pub && tail -c 128 ue/ue-key.tpm > k.priv"), 0);
  ASSERT_EQ(tpm_.tool("tpm2_load -Q -C 0x81000001 -u k.pub -r k.priv -c k.ctx"), 0);
  ASSERT_EQ(tpm_.tool("tpm2_readpublic -c k.ctx > k.txt"), 0);
  ASSERT_EQ(tpm_.tool("grep -q 'raw: 0x40472' k.txt"), 0);
  ASSERT_EQ(tpm_.tool("grep -q 'NIST p256' k.txt"), 0);
  ASSERT_EQ(tpm_.tool("tpm2_readpublic -c 0x81000001 | grep -q 'raw: 0x30472'"), 0);
}

TEST_F(DeviceTest, StateIsClosedToOthers) {
  ASSERT_TRUE(initialised());
  EXPECT_EQ(fs::status(tpm_.dir() / "ue").permissions(), fs::perms::owner_all);
  for (const std::string& name : {std::string(files::state), files::key(0), files::auth(0)}) {
    EXPECT_EQ(fs::status(file(name)).permissions(), fs::perms::owner_read | fs::perms::owner_write) << name;
  }
  const Bytes auth = contents(files::auth(0));
  ASSERT_EQ(auth.size(), 32U);
  EXPECT_NE(auth.back(), 0);
}

TEST_F(DeviceTest, RequestVerifiesHereAndInOpenssl) {
  const auto device = initialised();
  const std::string pem = device->certificate_request(impu_).value();
  const auto request = tokens::CertificateRequest::from_pem(pem);
  ASSERT_TRUE(request) << request.error().detail;
  EXPECT_TRUE(request->key == device->public_key());
  EXPECT_THAT(request->san_uris, ::testing::ElementsAre("sip:alice@a.example"));
  std::ofstream(tpm_.dir() / "csr.pem") << pem;
  EXPECT_EQ(tpm_.tool("openssl req -in csr.pem -verify -noout 2>&1 | grep -qi 'verify OK'"), 0);
}

TEST_F(DeviceTest, TokenVerifiesHereAndInJwcrypto) {
  const auto device = initialised();
  const std::string pem = certify(*device);
  const auto leaf = device->import_certificate(pem);
  ASSERT_TRUE(leaf) << leaf.error().detail;
  const auto jwt = device->ue_token(token_);
  ASSERT_TRUE(jwt) << jwt.error().detail;

  const auto token = tokens::parse_ue_token(*jwt);
  ASSERT_TRUE(token) << token.error().detail;
  EXPECT_TRUE(tokens::verify_ue_token_signature(*token));
  EXPECT_TRUE(tokens::check_ue_token_time(token->claims, to_unix(std::chrono::system_clock::now())));
  EXPECT_EQ(token->claims.aud, token_.aud);
  EXPECT_EQ(token->claims.app, token_.app);
  EXPECT_EQ(token->claims.avatar_id, token_.avatar_id);
  EXPECT_EQ(token->claims.sub.canonical(), impu_.canonical());
  EXPECT_EQ(token->claims.exp - token->claims.iat, 120);
  EXPECT_TRUE(token->leaf_fingerprint == leaf->fingerprint());
  EXPECT_NE(*jwt, device->ue_token(token_).value()) << "jti and signature are fresh";

  std::ofstream(tpm_.dir() / "t.jwt") << *jwt;
  std::ofstream(tpm_.dir() / "ue.pem") << pem;
  EXPECT_EQ(tpm_.tool("/usr/bin/python3 -c '"
                      "from jwcrypto import jwk, jws; k = jwk.JWK.from_pem(open(\"ue.pem\",\"rb\").read());"
                      "t = jws.JWS(); t.deserialize(open(\"t.jwt\").read(), k); assert t.is_valid'"),
            0);
}

TEST_F(DeviceTest, CertificateIsKeptWithItsChain) {
  const std::string pem = certify(*initialised()) + ca_.certificate.pem();
  ASSERT_TRUE(opened()->import_certificate(pem));
  const auto again = opened();
  ASSERT_TRUE(again->certificate().has_value());
  EXPECT_EQ(again->certificate()->pem(), tokens::Certificate::from_pem(pem)->pem());
  const Bytes kept = contents(files::chain(0));
  EXPECT_EQ(tokens::Certificate::chain_from_pem(as_text(kept))->size(), 2U);
}

TEST_F(DeviceTest, CertificatesThatAreNotOursAreRefused) {
  const auto device = initialised();
  const std::string own = certify(*device);
  const test::SoftwareKey other;
  const auto refuse = [&](const std::string& pem, std::string_view words) {
    const auto imported = device->import_certificate(pem);
    ASSERT_FALSE(imported);
    EXPECT_THAT(imported.error().detail, HasSubstr(std::string(words)));
    EXPECT_FALSE(device->certificate().has_value());
    EXPECT_FALSE(fs::exists(file(files::chain(0))));
  };
  const std::string eku(tokens::ue_eku_oid);
  refuse(ca_.issue_to(other, {.san = "URI:sip:alice@a.example", .eku = eku}).pem(), "another key");
  refuse(certify(*device, -7200, -3600), "not valid now");
  refuse(certify(*device, 3600, 7200), "not valid now");
  refuse("not PEM", "");
  refuse(ca_.certificate.pem() + own, "another key");
}

TEST_F(DeviceTest, TokenNeedsACertificateThatIsValidNow) {
  const auto device = initialised();
  EXPECT_EQ(device->ue_token(token_).error().reason, "ue-certificate-missing");
  ASSERT_TRUE(device->import_certificate(certify(*device)));
  clock_offset_ = std::chrono::hours(2);
  EXPECT_EQ(device->ue_token(token_).error().reason, "certificate-expired");
}

TEST_F(DeviceTest, TokenLifetimeIsBounded) {
  const auto device = initialised();
  ASSERT_TRUE(device->import_certificate(certify(*device)));
  for (const std::int64_t lifetime : {0, -1, 121}) {
    token_.lifetime = lifetime;
    EXPECT_EQ(device->ue_token(token_).error().reason, "ue-token-lifetime");
  }
  token_.lifetime = 1;
  EXPECT_TRUE(device->ue_token(token_));
}

TEST_F(DeviceTest, TokenForAMalformedAvatarOrApplicationIsRefused) {
  const auto device = initialised();
  ASSERT_TRUE(device->import_certificate(certify(*device)));
  token_.avatar_id = "with space";
  EXPECT_FALSE(device->ue_token(token_));
  token_.avatar_id = "fine";
  token_.app = "";
  EXPECT_FALSE(device->ue_token(token_));
}

TEST_F(DeviceTest, WrongAuthIsSaid) {
  ASSERT_TRUE(initialised());
  overwrite(files::auth(0), Bytes(32, 0x11));
  const auto refused = opened()->self_test();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason, "tpm-auth-refused");
  EXPECT_THAT(refused.error().detail, HasSubstr("auth file"));
}

TEST_F(DeviceTest, MalformedAuthIsRefused) {
  ASSERT_TRUE(initialised());
  for (const Bytes& auth : {Bytes(31, 1), Bytes(32, 0), Bytes{}}) {
    overwrite(files::auth(0), auth);
    EXPECT_EQ(Device::open(config()).error().reason, "auth-malformed");
  }
}

TEST_F(DeviceTest, SystemdCredentialGoesFirst) {
  DeviceConfig with = config();
  with.credentials = tpm_.dir() / "credentials";
  fs::create_directory(with.credentials);
  std::ofstream(with.credentials / files::credential, std::ios::binary) << std::string(32, 'c');
  ASSERT_TRUE(Device::init(with));
  EXPECT_FALSE(fs::exists(file(files::auth(0)))) << "the credential store keeps it";
  EXPECT_TRUE(Device::open(with).value()->self_test());
  EXPECT_FALSE(Device::open(config())) << "without the credential";
}

TEST_F(DeviceTest, ClearedTpmIsSaid) {
  ASSERT_TRUE(initialised());
  ASSERT_EQ(tpm_.tool("tpm2_clear -Q"), 0);
  const auto cleared = Device::init(config());
  ASSERT_FALSE(cleared);
  EXPECT_EQ(cleared.error().reason, "tpm-srk-mismatch");
  EXPECT_THAT(cleared.error().detail, HasSubstr("enroll again"));
}

TEST_F(DeviceTest, KeyOutlivesTpmResets) {
  const auto device = initialised();
  ASSERT_TRUE(device->self_test());
  tpm_.restart();
  const auto info = device->self_test();
  ASSERT_TRUE(info) << info.error().detail;
  tpm_.stop();
  EXPECT_EQ(device->self_test().error().reason, "tpm-transport");
  tpm_.start();
  EXPECT_TRUE(device->self_test());
}

TEST_F(DeviceTest, EvictedSrkIsMadeAgain) {
  ASSERT_TRUE(initialised());
  ASSERT_EQ(tpm_.tool("tpm2_evictcontrol -Q -C o -c 0x81000001"), 0);
  const auto info = opened()->self_test();
  EXPECT_TRUE(info) << info.error().detail;
}

TEST_F(DeviceTest, ForeignObjectAtTheSrkHandleIsLeftAlone) {
  ASSERT_EQ(tpm_.tool("tpm2_createprimary -Q -C o -G rsa -c p.ctx && tpm2_evictcontrol -Q -C o -c p.ctx 0x81000001"),
            0);
  ASSERT_EQ(tpm_.tool("tpm2_readpublic -c 0x81000001 > before.txt && tpm2_flushcontext -t"), 0);
  const auto device = initialised();
  EXPECT_FALSE(device->srk_persistent());
  const auto info = device->self_test();
  EXPECT_TRUE(info) << info.error().detail;
  EXPECT_EQ(tpm_.tool("tpm2_readpublic -c 0x81000001 | cmp - before.txt"), 0);
}

TEST_F(DeviceTest, SrkWithLockoutIsNotUsed) {
  // tpm2_createprimary leaves noDA out: attributes 0x30072.
  ASSERT_EQ(tpm_.tool("tpm2_createprimary -Q -C o -G ecc -c p.ctx && tpm2_evictcontrol -Q -C o -c p.ctx 0x81000001 && "
                      "tpm2_flushcontext -t"),
            0);
  EXPECT_FALSE(initialised()->srk_persistent());
}

TEST_F(DeviceTest, ExistingSrkOfOurTemplateIsShared) {
  ASSERT_TRUE(initialised());
  DeviceConfig second = config();
  second.state = tpm_.dir() / "second";
  ASSERT_TRUE(Device::init(second));
  const auto device = Device::open(second).value();
  EXPECT_TRUE(device->srk_persistent());
  EXPECT_NE(device->key_name(), opened()->key_name());
}

TEST_F(DeviceTest, CorruptedKeyFileIsSaid) {
  ASSERT_TRUE(initialised());
  const Bytes good = contents(files::key(0));
  Bytes bad = good;
  bad.back() ^= 1U;  // private part: only the TPM can tell
  overwrite(files::key(0), bad);
  EXPECT_EQ(opened()->self_test().error().reason, "tpm-blob-refused");

  bad = good;
  bad[80] ^= 1U;  // public part
  overwrite(files::key(0), bad);
  EXPECT_EQ(Device::open(config()).error().reason, "key-file-mismatch");

  bad = good;
  bad.pop_back();
  overwrite(files::key(0), bad);
  EXPECT_EQ(Device::open(config()).error().reason, "state-malformed");
  overwrite(files::key(0), good);
  EXPECT_TRUE(opened()->self_test());
}

TEST_F(DeviceTest, AnotherDevicesKeyFileIsRefused) {
  ASSERT_TRUE(initialised());
  DeviceConfig second = config();
  second.state = tpm_.dir() / "second";
  ASSERT_TRUE(Device::init(second));
  fs::copy_file(second.state / files::key(0), file(files::key(0)), fs::copy_options::overwrite_existing);
  EXPECT_EQ(Device::open(config()).error().reason, "key-file-mismatch");
}

TEST_F(DeviceTest, AnotherTpmIsRefused) {
  ASSERT_TRUE(initialised());
  const test::Swtpm other;
  DeviceConfig moved = config();
  moved.tcti = other.tcti();
  EXPECT_EQ(Device::open(moved).value()->self_test().error().reason, "tpm-srk-mismatch");
}

TEST_F(DeviceTest, InterruptedInitIsRepeated) {
  ASSERT_TRUE(initialised());
  const Bytes name = opened()->key_name();
  fs::remove(file(files::state));
  EXPECT_EQ(Device::open(config()).error().reason, "device-not-initialised");
  EXPECT_EQ(Device::init(config()).value(), InitOutcome::created);
  EXPECT_NE(opened()->key_name(), name);
  EXPECT_TRUE(opened()->self_test());
}

TEST_F(DeviceTest, OwnerPasswordIsSaid) {
  ASSERT_EQ(tpm_.tool("tpm2_changeauth -Q -c o secret"), 0);
  const auto refused = Device::init(config());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason, "tpm-auth-refused");
  EXPECT_THAT(refused.error().detail, HasSubstr("owner"));
  EXPECT_FALSE(fs::exists(file(files::state)));
}

}  // namespace
}  // namespace avseal::device
