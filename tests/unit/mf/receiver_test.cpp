#include "examples/mf/receiver.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/mf/metadata_maker.hpp"

namespace avseal::mf {
namespace {

class ReceiverTest : public ::testing::Test {
 protected:
  Receiver receiver(std::string_view expect = "avatar-1,3") {
    return Receiver({.anchors = dac_.ca.anchors(),
                     .expectations = Expectations::from_option(expect).value(),
                     .renderer =
                         [this](std::string_view, const tokens::AvatarMetadata& metadata, ByteView content) {
                           rendered_.push_back(metadata.id + ":" + std::string(as_text(content)));
                           return Result<void>{};
                         },
                     .clock = [this] { return std::chrono::system_clock::now() + offset_; },
                     .max_content = 4096,
                     .max_sessions = 2});
  }

  std::string_view refusal(Receiver& mf, const tokens::AvatarMetadata& metadata) {
    const auto accepted = mf.accept_metadata("s", dac_.sign(metadata));
    EXPECT_FALSE(accepted);
    return accepted ? "" : accepted.error().reason;
  }

  test::MetadataMaker dac_;
  std::chrono::seconds offset_{0};
  std::vector<std::string> rendered_;
};

TEST_F(ReceiverTest, RendersWhatIsVerified) {
  Receiver mf = receiver();
  const auto metadata = mf.accept_metadata("s", dac_.sign(dac_.metadata()));
  ASSERT_TRUE(metadata) << metadata.error().detail;
  EXPECT_TRUE(rendered_.empty());
  const auto content = mf.begin_content("s").value();
  ASSERT_TRUE(content->append(as_bytes("glTF of ")));
  ASSERT_TRUE(content->append(as_bytes("Alice")));
  EXPECT_TRUE(rendered_.empty()) << "nothing before the digest is compared";
  ASSERT_TRUE(mf.finish(*content));
  EXPECT_THAT(rendered_, ::testing::ElementsAre("avatar-1:glTF of Alice"));
}

TEST_F(ReceiverTest, AnotherUsersGenuineAvatarIsRefused) {
  Receiver mf = receiver();
  tokens::AvatarMetadata other = dac_.metadata();
  other.id = "avatar-of-bob";
  other.owner = tokens::Impu::parse("sip:bob@a.example").value();
  EXPECT_EQ(refusal(mf, other), "metadata-other-avatar");
}

TEST_F(ReceiverTest, OlderGenuineVersionIsRefusedNewerIsNot) {
  Receiver mf = receiver();
  tokens::AvatarMetadata metadata = dac_.metadata();
  metadata.version = 2;
  EXPECT_EQ(refusal(mf, metadata), "metadata-old-version");
  metadata.version = 4;
  EXPECT_TRUE(mf.accept_metadata("s", dac_.sign(metadata)));
}

TEST_F(ReceiverTest, ExpiredMetadataIsRefused) {
  Receiver mf = receiver();
  tokens::AvatarMetadata metadata = dac_.metadata();
  metadata.iat -= 3600;
  metadata.exp = metadata.iat + 600;
  EXPECT_EQ(refusal(mf, metadata), "metadata-expired");
}

TEST_F(ReceiverTest, AlteredMetadataIsRefused) {
  Receiver mf = receiver();
  const std::string genuine = dac_.sign(dac_.metadata());
  tokens::AvatarMetadata lie = dac_.metadata();
  lie.content_size += 1;
  const std::string forged =
      tokens::build_avatar_metadata(lie, dac_.certificate, {}).value() + genuine.substr(genuine.rfind('.'));
  const auto accepted = mf.accept_metadata("s", forged);
  ASSERT_FALSE(accepted);
  EXPECT_EQ(accepted.error().reason, "signature-invalid");
  EXPECT_FALSE(mf.accept_metadata("s", "not.a.jws"));
}

TEST_F(ReceiverTest, OtherAnchorsAndUeCertificatesAreNoSigners) {
  Receiver mf = receiver();
  const test::MetadataMaker stranger;
  const auto accepted = mf.accept_metadata("s", stranger.sign(stranger.metadata()));
  ASSERT_FALSE(accepted);
  EXPECT_EQ(accepted.error().reason, "certificate-untrusted");

  test::MetadataMaker ue = dac_;
  ue.certificate = ue.ca.issue_to(ue.key, {.subject = "UE", .eku = std::string(tokens::ue_eku_oid)});
  EXPECT_FALSE(mf.accept_metadata("s", ue.sign(ue.metadata())));
}

TEST_F(ReceiverTest, AlteredTruncatedAndOverlongContentNeverReachesTheRenderer) {
  for (const std::string_view bytes : {"glTF of Mallo", "glTF of Alic", "glTF of Alice!", ""}) {
    Receiver mf = receiver();
    ASSERT_TRUE(mf.accept_metadata("s", dac_.sign(dac_.metadata())));
    const auto content = mf.begin_content("s").value();
    Result<void> taken = content->append(as_bytes(bytes));
    if (taken) taken = mf.finish(*content);
    ASSERT_FALSE(taken) << bytes;
    EXPECT_EQ(taken.error().reason, "content-mismatch");
  }
  EXPECT_TRUE(rendered_.empty());
}

TEST_F(ReceiverTest, ContentWithoutMetadataAndTwiceIsRefused) {
  Receiver mf = receiver();
  EXPECT_EQ(mf.begin_content("s").error().reason, "metadata-missing");
  ASSERT_TRUE(mf.accept_metadata("s", dac_.sign(dac_.metadata())));
  EXPECT_EQ(mf.begin_content("other").error().reason, "metadata-missing");
  ASSERT_TRUE(mf.begin_content("s"));
  EXPECT_EQ(mf.begin_content("s").error().reason, "metadata-missing");
}

TEST_F(ReceiverTest, MetadataThatExpiresMeanwhileIsRefused) {
  Receiver mf = receiver();
  ASSERT_TRUE(mf.accept_metadata("s", dac_.sign(dac_.metadata())));
  const auto content = mf.begin_content("s").value();
  ASSERT_TRUE(content->append(as_bytes(dac_.content)));
  offset_ = std::chrono::minutes(30);
  EXPECT_EQ(mf.finish(*content).error().reason, "metadata-expired");

  offset_ = std::chrono::seconds(0);
  ASSERT_TRUE(mf.accept_metadata("s", dac_.sign(dac_.metadata())));
  offset_ = std::chrono::minutes(30);
  EXPECT_EQ(mf.begin_content("s").error().reason, "metadata-expired");
  EXPECT_TRUE(rendered_.empty());
}

TEST_F(ReceiverTest, SizeAndSessionsAreBounded) {
  Receiver mf = receiver();
  tokens::AvatarMetadata large = dac_.metadata();
  large.content_size = 4097;
  EXPECT_EQ(refusal(mf, large), "content-too-large");
  EXPECT_TRUE(mf.accept_metadata("a", dac_.sign(dac_.metadata())));
  EXPECT_TRUE(mf.accept_metadata("b", dac_.sign(dac_.metadata())));
  EXPECT_TRUE(mf.accept_metadata("b", dac_.sign(dac_.metadata()))) << "replaced";
  EXPECT_EQ(mf.accept_metadata("c", dac_.sign(dac_.metadata())).error().reason, "too-many-sessions");
}

}  // namespace
}  // namespace avseal::mf
