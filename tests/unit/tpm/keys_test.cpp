#include "tpm/keys.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/tpm/swtpm.hpp"
#include "tokens/digest.hpp"

namespace avseal::tpm {
namespace {

using test::CommandView;
using test::Relay;
using test::Swtpm;

class KeysTest : public ::testing::Test {
 protected:
  Swtpm tpm_;
  Secret auth_ = Secret::copy_of(Bytes(32, 0x5A));
};

std::unique_ptr<Context> open(const std::string& tcti) {
  auto context = Context::open(tcti);
  EXPECT_TRUE(context) << (context ? "" : context.error().detail);
  return context ? std::move(*context) : nullptr;
}

TEST_F(KeysTest, ContextSaysWhoIsThere) {
  const auto context = open(tpm_.tcti());
  EXPECT_EQ(context->info().manufacturer, "IBM");
  EXPECT_FALSE(context->info().vendor.empty());
  EXPECT_TRUE(context->info().emulated);
  EXPECT_EQ(context->info().tcti, tpm_.tcti());
}

TEST(ContextTest, LoadsNoTctiThatRunsProgramsOrFiles) {
  for (const char* tcti : {"cmd:tpm2_send", "/tmp/evil.so", "pcap:device:/dev/tpm0", "", "libtss2-tcti-swtpm.so"}) {
    const auto context = Context::open(tcti);
    ASSERT_FALSE(context) << tcti;
    EXPECT_EQ(context.error().reason, "tcti-refused");
  }
}

TEST(ContextTest, SaysThatNoTpmAnswers) {
  const auto context = Context::open("swtpm:path=/tmp/avtpm-nobody-here/s");
  ASSERT_FALSE(context);
  EXPECT_EQ(context.error().reason, "tpm-transport");
  const auto device = Context::open("device:/dev/avseal-no-such-tpm");
  ASSERT_FALSE(device);
  EXPECT_EQ(device.error().reason, "tpm-transport");
}

TEST_F(KeysTest, TheSamePrimaryIsMadeAgain) {
  const auto context = open(tpm_.tcti());
  const Handle first = create_srk(*context).value();
  const Handle second = create_srk(*context).value();
  EXPECT_EQ(first.name().value(), second.name().value());
}

TEST_F(KeysTest, HandlesAreFlushedWhenTheyDie) {
  const auto context = open(tpm_.tcti());
  for (int i = 0; i < 8; ++i) {  // swtpm has three slots
    const Handle srk = create_srk(*context).value();
    const auto session = Session::start(*context, srk, srk.name().value());
    ASSERT_TRUE(session) << session.error().detail;
  }
}

TEST_F(KeysTest, PersistentObjectIsFoundWithItsPublicArea) {
  const auto context = open(tpm_.tcti());
  EXPECT_FALSE(find_persistent(*context, srk_handle).value().has_value());
  const Handle made = create_srk(*context).value();
  ASSERT_TRUE(make_persistent(*context, made, srk_handle));
  const auto found = find_persistent(*context, srk_handle).value();
  ASSERT_TRUE(found.has_value());
  EXPECT_TRUE(matches_template(found->public_area, srk_template()));
  EXPECT_EQ(found->handle.name().value(), made.name().value());
  EXPECT_FALSE(find_persistent(*context, srk_handle + 1).value().has_value());
}

TEST_F(KeysTest, NoSessionIsSaltedWithAnotherKey) {
  const auto context = open(tpm_.tcti());
  const Handle srk = create_srk(*context).value();
  Bytes other = srk.name().value();
  other.back() ^= 1U;
  const auto session = Session::start(*context, srk, other);
  ASSERT_FALSE(session);
  EXPECT_EQ(session.error().reason, "tpm-srk-mismatch");
  EXPECT_THAT(session.error().detail, ::testing::HasSubstr("cleared or replaced"));
}

TEST_F(KeysTest, SignsWhatThePublicKeyVerifies) {
  const auto context = open(tpm_.tcti());
  const Handle srk = create_srk(*context).value();
  Session session = Session::start(*context, srk, srk.name().value()).value();
  const KeyBlob blob = create_ue_key(*context, srk, session, auth_).value();
  EXPECT_TRUE(matches_template(blob.public_area, ue_key_template()));
  const Handle key = load_ue_key(*context, srk, session, blob, auth_).value();
  const auto message = as_bytes("message");
  const tokens::PublicKey public_key = public_key_of(blob.public_area).value();
  for (int i = 0; i < 3; ++i) {  // the session is reused
    const auto signature = sign_digest(*context, key, session, tokens::sha256(message));
    ASSERT_TRUE(signature) << signature.error().detail;
    EXPECT_TRUE(public_key.verify(message, *signature));
  }
  EXPECT_FALSE(sign_digest(*context, key, session, Bytes(20)));
}

TEST_F(KeysTest, WrongAuthIsRefusedAndLocksNothing) {
  const auto context = open(tpm_.tcti());
  const Handle srk = create_srk(*context).value();
  Session session = Session::start(*context, srk, srk.name().value()).value();
  const KeyBlob blob = create_ue_key(*context, srk, session, auth_).value();
  const tokens::Sha256 digest = tokens::sha256(as_bytes("m"));
  {
    const Handle key = load_ue_key(*context, srk, session, blob, Secret::copy_of(Bytes(32, 0x5B))).value();
    for (int i = 0; i < 5; ++i) {  // swtpm locks after three
      const auto refused = sign_digest(*context, key, session, digest);
      ASSERT_FALSE(refused);
      EXPECT_EQ(refused.error().reason, "tpm-auth-refused");
    }
  }
  const Handle key = load_ue_key(*context, srk, session, blob, auth_).value();
  EXPECT_TRUE(sign_digest(*context, key, session, digest));
}

TEST_F(KeysTest, AlteredBlobIsRefused) {
  const auto context = open(tpm_.tcti());
  const Handle srk = create_srk(*context).value();
  Session session = Session::start(*context, srk, srk.name().value()).value();
  KeyBlob blob = create_ue_key(*context, srk, session, auth_).value();
  blob.private_area.buffer[40] ^= 1U;
  const auto key = load_ue_key(*context, srk, session, blob, auth_);
  ASSERT_FALSE(key);
  EXPECT_EQ(key.error().reason, "tpm-blob-refused");
}

// What an interposer sees: every command with a secret or a signature runs in an HMAC session with encrypted
// parameters.
TEST_F(KeysTest, SecretsAndDigestsNeverTravelInClear) {
  const Relay relay(tpm_);
  const auto context = open(relay.tcti());
  const Handle srk = create_srk(*context).value();
  Session session = Session::start(*context, srk, srk.name().value()).value();
  const KeyBlob blob = create_ue_key(*context, srk, session, auth_).value();
  const Handle key = load_ue_key(*context, srk, session, blob, auth_).value();
  const tokens::Sha256 digest = tokens::sha256(as_bytes("m"));
  ASSERT_TRUE(sign_digest(*context, key, session, digest));

  int seen = 0;
  for (const Bytes& command : relay.commands()) {
    EXPECT_EQ(std::search(command.begin(), command.end(), digest.begin(), digest.end()), command.end());
    const ByteView auth = auth_.reveal();
    EXPECT_EQ(std::search(command.begin(), command.end(), auth.begin(), auth.end()), command.end());
    const CommandView view = CommandView::of(command, 1);
    const bool creates = view.code == TPM2_CC_Create;
    const bool loads = view.code == TPM2_CC_Load;
    if (!creates && !loads && view.code != TPM2_CC_Sign) continue;
    ++seen;
    ASSERT_EQ(view.session_attributes.size(), 1U);
    EXPECT_NE(view.session_handles[0], TPM2_RH_PW);
    EXPECT_TRUE((view.session_attributes[0] & TPMA_SESSION_DECRYPT) != 0);
    EXPECT_EQ((view.session_attributes[0] & TPMA_SESSION_ENCRYPT) != 0, creates || loads);
  }
  EXPECT_EQ(seen, 3);
}

// The salt: a session start that names our SRK and nothing to bind to (part 3, 11.1).
TEST_F(KeysTest, SessionsAreSaltedAndNotBound) {
  const Relay relay(tpm_);
  const auto context = open(relay.tcti());
  const Handle srk = create_srk(*context).value();
  const auto session = Session::start(*context, srk, srk.name().value());
  ASSERT_TRUE(session);
  int starts = 0;
  for (const Bytes& command : relay.commands()) {
    if (CommandView::be32(command, 6) != TPM2_CC_StartAuthSession) continue;
    ++starts;
    EXPECT_EQ(CommandView::be32(command, 10) >> 24U, 0x80U) << "salt key is an object";
    EXPECT_EQ(CommandView::be32(command, 14), TPM2_RH_NULL) << "bound to nothing";
    const std::size_t nonce = CommandView::be16(command, 18);
    EXPECT_GT(CommandView::be16(command, 20 + nonce), 64U) << "encrypted salt";
  }
  EXPECT_EQ(starts, 1);
}

}  // namespace
}  // namespace avseal::tpm
