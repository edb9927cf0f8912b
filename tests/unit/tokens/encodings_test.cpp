#include <type_traits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tokens/base64.hpp"
#include "tokens/digest.hpp"
#include "tokens/fingerprint.hpp"
#include "tokens/secret.hpp"

namespace avseal::tokens {
namespace {

std::string text_of(const Result<Bytes>& bytes) {
  return bytes ? std::string(as_text(*bytes)) : bytes.error().detail;
}

struct Rfc4648 {
  const char* plain;
  const char* padded;
};
class Base64Vectors : public ::testing::TestWithParam<Rfc4648> {};

TEST_P(Base64Vectors, of_RFC_4648_section_10) {
  const auto& [plain, padded] = GetParam();
  std::string unpadded(padded);
  while (unpadded.ends_with('=')) unpadded.pop_back();
  EXPECT_EQ(base64_encode(as_bytes(plain)), padded);
  EXPECT_EQ(base64url_encode(as_bytes(plain)), unpadded);
  EXPECT_EQ(text_of(base64_decode(padded)), plain);
  EXPECT_EQ(text_of(base64url_decode(unpadded)), plain);
}
INSTANTIATE_TEST_SUITE_P(all, Base64Vectors,
                         ::testing::Values(Rfc4648{"", ""}, Rfc4648{"f", "Zg=="}, Rfc4648{"fo", "Zm8="},
                                           Rfc4648{"foo", "Zm9v"}, Rfc4648{"foob", "Zm9vYg=="},
                                           Rfc4648{"fooba", "Zm9vYmE="}, Rfc4648{"foobar", "Zm9vYmFy"}));

TEST(Base64, alphabets_differ_in_two_characters) {
  const Bytes bytes{0xFB, 0xFF, 0xFE};
  EXPECT_EQ(base64_encode(bytes), "+//+");
  EXPECT_EQ(base64url_encode(bytes), "-__-");
  EXPECT_FALSE(base64url_decode("+//+"));
  EXPECT_FALSE(base64_decode("-__-"));
}

TEST(Base64, url_form_refuses_what_is_not_canonical) {
  for (const char* text : {"Zg==", "Zg=", "Zh", "Zm9", "Z", "Zm9vY", "Zm 9v", "Zm9v\n", "Zm9v.", "Zm\xC3\xA9"}) {
    EXPECT_FALSE(base64url_decode(text)) << text;
  }
}

TEST(Base64, standard_form_refuses_what_is_not_canonical) {
  for (const char* text : {"Zg", "Zg=", "Zh==", "Zm9=", "====", "Z===", "Zg==Zg==", "=Zg=", "Zm9v\n"}) {
    EXPECT_FALSE(base64_decode(text)) << text;
  }
}

TEST(Hex, encodes_and_decodes_both_cases) {
  const Bytes bytes{0x00, 0xAB, 0xFF};
  EXPECT_EQ(hex_encode(bytes), "00abff");
  EXPECT_EQ(hex_encode_upper(bytes), "00ABFF");
  EXPECT_EQ(hex_decode("00aBFf").value(), bytes);
  for (const char* text : {"0", "0g", "g0", "0x", " 0"}) EXPECT_FALSE(hex_decode(text)) << text;
}

TEST(Digest, known_answers) {
  EXPECT_EQ(hex_encode(sha256(as_bytes("abc"))), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(hex_encode(sha256({})), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_TRUE(hex_encode(sha384(as_bytes("abc"))).starts_with("cb00753f45a35e8bb5a03d699ac65007"));
  EXPECT_EQ(base64_encode(sha256(as_bytes(R"({"hello": "world"})"))), "X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=");
  // RFC 4231 test case 2
  EXPECT_EQ(hex_encode(hmac_sha256(as_bytes("Jefe"), as_bytes("what do ya want for nothing?"))),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  EXPECT_EQ(hex_encode(hmac_sha256({}, {})), "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

TEST(Digest, stream_equals_one_shot_and_starts_anew) {
  Sha256Stream stream;
  for (int round = 0; round < 2; ++round) {
    stream.update(as_bytes("a"));
    stream.update({});
    stream.update(as_bytes("bc"));
    EXPECT_EQ(stream.finish(), sha256(as_bytes("abc")));
  }
  EXPECT_EQ(stream.finish(), sha256({}));
}

TEST(Digest, comparison_needs_equal_sizes_and_bytes) {
  EXPECT_TRUE(equal_constant_time(as_bytes("abc"), as_bytes("abc")));
  EXPECT_TRUE(equal_constant_time({}, {}));
  EXPECT_FALSE(equal_constant_time(as_bytes("abc"), as_bytes("abd")));
  EXPECT_FALSE(equal_constant_time(as_bytes("abc"), as_bytes("ab")));
}

TEST(Digest, random_uuids_are_version_4_and_differ) {
  const std::string uuid = random_uuid();
  EXPECT_TRUE(is_uuid(uuid)) << uuid;
  EXPECT_EQ(uuid[14], '4');
  EXPECT_THAT(std::string("89ab"), ::testing::HasSubstr(std::string(1, uuid[19])));
  EXPECT_NE(random_uuid(), uuid);
  EXPECT_NE(random_bytes(16), random_bytes(16));
}

TEST(Digest, uuid_form) {
  EXPECT_TRUE(is_uuid("123e4567-E89B-12d3-a456-426655440000"));
  for (const char* text : {"", "123e4567-e89b-12d3-a456-42665544000", "123e4567-e89b-12d3-a456-4266554400000",
                           "123e4567e-89b-12d3-a456-426655440000", "g23e4567-e89b-12d3-a456-426655440000",
                           "{23e4567-e89b-12d3-a456-42665544000}"}) {
    EXPECT_FALSE(is_uuid(text)) << text;
  }
}

TEST(SecretType, cannot_be_copied_and_moves_out) {
  static_assert(!std::is_copy_constructible_v<Secret> && !std::is_copy_assignable_v<Secret>);
  static_assert(std::is_nothrow_move_constructible_v<Secret> && std::is_nothrow_move_assignable_v<Secret>);
  Secret a = Secret::copy_of(as_bytes("123456"));
  EXPECT_EQ(as_text(a.reveal()), "123456");
  Secret b = std::move(a);
  EXPECT_TRUE(a.empty());  // NB moved from on purpose
  EXPECT_TRUE(b.equals(as_bytes("123456")));
  EXPECT_FALSE(b.equals(as_bytes("123457")));
  EXPECT_FALSE(b.equals(as_bytes("12345")));
  a = std::move(b);
  EXPECT_EQ(a.size(), 6U);
  a = Secret();
  EXPECT_TRUE(a.empty());
  EXPECT_TRUE(a.equals({}));
}

TEST(SecretType, random_ones_differ) {
  const Secret a = Secret::random(32);
  EXPECT_EQ(a.size(), 32U);
  EXPECT_FALSE(a.equals(Secret::random(32).reveal()));
  EXPECT_TRUE(Secret::random(0).empty());
  EXPECT_TRUE(Secret::copy_of({}).empty());
}

TEST(FingerprintType, one_value_in_three_encodings) {
  const Fingerprint made = Fingerprint::sha256_of(as_bytes("abc"));
  EXPECT_EQ(made.to_sdp(),
            "SHA-256 BA:78:16:BF:8F:01:CF:EA:41:41:40:DE:5D:AE:22:23:B0:03:61:A3:96:17:7A:9C:B4:10:FF:61:F2:00:15:AD");
  EXPECT_EQ(made.to_sdp_line(), "a=fingerprint:" + made.to_sdp());
  EXPECT_EQ(made.to_mky_dig(), "BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD");
  EXPECT_EQ(made.to_x5t(), "ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0");
  EXPECT_EQ(Fingerprint::from_sdp(made.to_sdp()).value(), made);
  EXPECT_EQ(Fingerprint::from_mky("sha-256", made.to_mky_dig()).value(), made);
  EXPECT_EQ(Fingerprint::from_x5t(made.to_x5t()).value(), made);
  EXPECT_FALSE(Fingerprint::sha256_of(as_bytes("abd")) == made);
}

TEST(FingerprintType, sdp_is_read_in_either_case) {
  const Fingerprint made = Fingerprint::sha256_of(as_bytes("abc"));
  std::string lower = made.to_sdp();
  for (char& c : lower) c = static_cast<char>(std::tolower(c));
  EXPECT_EQ(Fingerprint::from_sdp(lower).value(), made);
}

TEST(FingerprintType, longer_hashes_are_other_values) {
  const std::string dig(96, 'A');
  const Fingerprint sha384 = Fingerprint::from_mky("sha-384", dig).value();
  EXPECT_EQ(sha384.algorithm(), "sha-384");
  EXPECT_EQ(sha384.bytes().size(), 48U);
  EXPECT_TRUE(sha384.to_sdp().starts_with("SHA-384 AA:AA"));
  EXPECT_EQ(Fingerprint::from_mky("sha-512", std::string(128, '0')).value().bytes().size(), 64U);
}

TEST(FingerprintType, weak_hashes_are_refused) {
  for (const char* algorithm : {"sha-1", "SHA-1", "md5", "md2", "sha-224", "token", ""}) {
    const auto sdp = Fingerprint::from_sdp(std::string(algorithm) + " AA:BB");
    ASSERT_FALSE(sdp) << algorithm;
    EXPECT_EQ(sdp.error().reason, "fingerprint-weak") << algorithm;
    const auto mky = Fingerprint::from_mky(algorithm, std::string(40, 'A'));
    ASSERT_FALSE(mky) << algorithm;
    EXPECT_EQ(mky.error().reason, "fingerprint-weak") << algorithm;
  }
}

TEST(FingerprintType, malformed_ones_are_refused) {
  const Fingerprint made = Fingerprint::sha256_of(as_bytes("abc"));
  const std::string sdp = made.to_sdp();
  std::string dashes = sdp;
  std::replace(dashes.begin() + 8, dashes.end(), ':', '-');
  std::string not_hex = sdp;
  not_hex.back() = 'G';
  for (const std::string& text :
       {std::string(), std::string("SHA-256"), std::string("SHA-256 "), sdp + ":AA", sdp.substr(0, sdp.size() - 3),
        "SHA-256  " + sdp.substr(8), dashes, not_hex, std::string("SHA-384 ") + sdp.substr(8), sdp + " "}) {
    const auto parsed = Fingerprint::from_sdp(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_EQ(parsed.error().reason, "fingerprint-malformed") << text;
  }
  for (const std::string& dig : {std::string(63, 'A'), std::string(64, 'a'), std::string(64, 'G'), std::string()}) {
    EXPECT_FALSE(Fingerprint::from_mky("sha-256", dig)) << dig;
  }
  for (const std::string& x5t : {made.to_x5t() + "=", made.to_x5t().substr(1), std::string()}) {
    EXPECT_FALSE(Fingerprint::from_x5t(x5t)) << x5t;
  }
}

}  // namespace
}  // namespace avseal::tokens
