#include "device/enrollment_messages.hpp"

#include <gtest/gtest.h>

#include "tokens/base64.hpp"

namespace avseal::device {
namespace {

const std::string id = tokens::base64url_encode(Bytes(16, 1));
const std::string nonce = tokens::base64url_encode(Bytes(32, 2));

std::string challenge_text() {
  return R"({"credential":{"blob":"AQI","secret":"AwQ"},"expires":1763930060,"id":")" + id + R"(","nonce":")" + nonce +
         R"(","pcrs":[7,0],"server":"https://op.example"})";
}

std::string issued_text() {
  return R"({"certificates":["leaf","issuer\n"],"device":")" + std::string(64, 'd') + R"(","renewAfter":1763990000})";
}

TEST(EnrollmentMessagesTest, ChallengeIsRead) {
  const auto challenge = parse_challenge(challenge_text());
  ASSERT_TRUE(challenge) << challenge.error().detail;
  EXPECT_EQ(challenge->id, id);
  EXPECT_EQ(challenge->nonce, Bytes(32, 2));
  EXPECT_EQ(challenge->server, "https://op.example");
  EXPECT_EQ(challenge->expires, 1763930060);
  EXPECT_EQ(challenge->credential->blob, (Bytes{1, 2}));
  EXPECT_EQ(challenge->credential->secret, (Bytes{3, 4}));
  EXPECT_EQ(challenge->pcrs, (std::vector<std::uint32_t>{0, 7}));
}

TEST(EnrollmentMessagesTest, IssuedCertificateIsRead) {
  const auto issued = parse_issued(issued_text());
  ASSERT_TRUE(issued) << issued.error().detail;
  EXPECT_EQ(issued->chain, "leaf\nissuer\n");
  EXPECT_EQ(issued->device, std::string(64, 'd'));
  EXPECT_EQ(issued->renew_after, 1763990000);
}

using Edit = std::pair<std::string, std::string>;

std::string edited(std::string text, const Edit& edit) {
  const auto at = text.find(edit.first);
  EXPECT_NE(at, std::string::npos) << edit.first;
  return text.replace(at, edit.first.size(), edit.second);
}

class BadChallengeTest : public ::testing::TestWithParam<Edit> {};
TEST_P(BadChallengeTest, IsRefused) {
  EXPECT_FALSE(parse_challenge(edited(challenge_text(), GetParam())));
}
INSTANTIATE_TEST_SUITE_P(
    Edits, BadChallengeTest,
    ::testing::Values(Edit{"\"id\"", "\"iD\""}, Edit{id, id + "AA"}, Edit{id, "../../x"}, Edit{nonce, nonce.substr(4)},
                      Edit{nonce, nonce + "="}, Edit{"[7,0]", "[7,7]"}, Edit{"[7,0]", "[]"}, Edit{"[7,0]", "[24]"},
                      Edit{"[7,0]", "[-1]"}, Edit{"[7,0]", "[\"7\"]"}, Edit{"[7,0]", "7"}, Edit{"\"AQI\"", "\"AQI=\""},
                      Edit{"\"AQI\"", "\"AQJ\""}, Edit{"\"secret\"", "\"secrets\""}, Edit{"1763930060", "1.5"},
                      Edit{"{\"credential\"", "{\"more\":1,\"credential\""}, Edit{"\"https://op.example\"", "1"}));

class BadIssuedTest : public ::testing::TestWithParam<Edit> {};
TEST_P(BadIssuedTest, IsRefused) {
  EXPECT_FALSE(parse_issued(edited(issued_text(), GetParam())));
}
INSTANTIATE_TEST_SUITE_P(Edits, BadIssuedTest,
                         ::testing::Values(Edit{R"(["leaf","issuer\n"])", "[]"}, Edit{R"(["leaf","issuer\n"])", "[1]"},
                                           Edit{R"(["leaf","issuer\n"])", "\"leaf\""},
                                           Edit{R"("leaf")", R"("1","2","3","4","5","6","7","8")"}, Edit{"dddd", "ddd"},
                                           Edit{"dddd", "dddg"}, Edit{"1763990000", "\"soon\""},
                                           Edit{"\"device\"", "\"devices\""}));

TEST(EnrollmentMessagesTest, RequestsHaveWhatIsThere) {
  ChallengeRequest request{.impu = "sip:a@b.example", .ak = {1}, .key = {2}, .parent = {3}, .ek = {}, .device = "dd"};
  EXPECT_EQ(render(request), R"({"ak":"AQ","device":"dd","impu":"sip:a@b.example","key":"Ag","parent":"Aw"})");
  request.ek = ChallengeRequest::Endorsement{"c0de", "SN", {4}, {{5}, {6}}, Bytes{7}};
  EXPECT_EQ(render(request),
            R"({"ak":"AQ","code":"c0de","ek":{"certificate":"BA","chain":["BQ","Bg"],"platformCertificate":"Bw"},)"
            R"("impu":"sip:a@b.example","key":"Ag","parent":"Aw","serial":"SN"})");
  request.ek = ChallengeRequest::Endorsement{"", "", {4}, {}, std::nullopt};
  EXPECT_EQ(render(request),
            R"({"ak":"AQ","ek":{"certificate":"BA"},"impu":"sip:a@b.example","key":"Ag","parent":"Aw"})");
}

TEST(EnrollmentMessagesTest, DemandsHaveWhatIsThere) {
  CertificateDemand demand{.secret = {}, .csr = {1}, .certify = {{2}, {3}}, .quote = {}};
  EXPECT_EQ(render(demand), R"({"certify":{"attest":"Ag","signature":"Aw"},"csr":"AQ"})");
  demand.secret = Secret::copy_of(Bytes{9});
  demand.quote = tpm::Quote{{{4}, {5}}, {{0, Bytes(2, 0xAB)}, {14, Bytes(1, 1)}}};
  EXPECT_EQ(
      render(demand),
      R"({"certify":{"attest":"Ag","signature":"Aw"},"csr":"AQ","quote":{"attest":"BA","pcrs":{"0":"abab","14":"01"},)"
      R"("signature":"BQ"},"secret":"CQ"})");
}

}  // namespace
}  // namespace avseal::device
