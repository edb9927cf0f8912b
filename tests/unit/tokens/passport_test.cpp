#include "tokens/passport.hpp"

#include <gtest/gtest.h>

#include "support.hpp"
#include "tokens/base64.hpp"
#include "tokens/identity_header.hpp"

namespace avseal::tokens {
namespace {

using testing::jws_of;
using testing::now;
using testing::replaced;
using testing::SigningKey;

constexpr const char* origid = "123e4567-e89b-12d3-a456-426655440000";

// RFC 8225 appendix A: the header, the payload and two keys. The keys are no pair (appendix A.1's private key is
// another one than A.2's public key) and the printed signature verifies under neither.
constexpr std::string_view rfc8225_h =
    "eyJhbGciOiJFUzI1NiIsInR5cCI6InBhc3Nwb3J0IiwieDV1IjoiaHR0cHM6Ly9jZXJ0LmV4YW1wbGUub3JnL3Bhc3Nwb3J0LmNlciJ9";
constexpr std::string_view rfc8225_p =
    "eyJkZXN0Ijp7InVyaSI6WyJzaXA6YWxpY2VAZXhhbXBsZS5jb20iXX0sImlhdCI6MTQ3MTM3NTQxOCwib3JpZyI6eyJ0biI6IjEyMTU1NTUxMjEyIn"
    "19";
constexpr std::string_view rfc8225_printed =
    "VLBCIVDCaeK6M4hLJb6SHQvacAQVvoiiEOWQ_iUkqk79UD81fHQ0E1b3_GluIkba7UWYRM47ZbNFdOJquE35cw";
constexpr std::string_view rfc8225_a1 =
    "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgi7q2TZvN9VDFg8VyqCP06bETrR2v8MRvr89rn4i+UAahRANCAAQWfaj1HUETpoNCrO"
    "tp9KA8o0V79IuWARKt9C1cFPkyd3FBP4SeiNZxQhDrD0tdBHls3/wFe8++K2FrPyQF9vuh";
constexpr std::string_view rfc8225_a2 =
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE8HNbQd/TmvCKwPKHkMF9fScavGeH78YTU8qLS8I5HLHSSmlATLcslQMhNC/OhlWBYC626nIlo7Xeeb"
    "YS7Sb37g==";
// Deterministic signatures (RFC 6979) over the appendix's signing input, with A.1's and with A.2's key.
constexpr std::string_view rfc6979_a1 =
    "2c_SAul3BxIuvMR3G8VfbFwj6ZoOHBQF-qVaR-Mef0V2ipEhTe0ZYBaLrnhuSRVNwy1Tu-tr334XUBdnPYi3tA";
constexpr std::string_view rfc6979_a2 =
    "04oSEAQeGM8HoGi4qBYKetSAThGnI9wCu-H6ZXN72KxHvi2UkTTJl1uVg0I94CsKpU-VOYGWb1Vff4cA7dZ8ug";
// RFC 8224 section 4.1.1 (key A.2): `iat` is a string.
constexpr std::string_view rfc8224_rest =
    ".eyJkZXN0Ijp7InVyaSI6WyJzaXA6YWxpY2VAZXhhbXBsZS5jb20iXX0sImlhdCI6IjE0NDMyMDgzNDUiLCJvcmlnIjp7InRuIjoiMTIxNTU1NTEyM"
    "TIifX0.rq3pjT1hoRwakEGjHCnWSwUnshd0-zJ6F1VOgFWSjHBr8Qjpjlk-cpFYpFYsojNCpTzO3QfPOlckGaS6hEck7w";
// RFC 8946 appendix A.
constexpr std::string_view rfc8946 =
    "eyJhbGciOiJFUzI1NiIsInBwdCI6ImRpdiIsInR5cCI6InBhc3Nwb3J0IiwieDV1IjoiaHR0cHM6Ly93d3cuZXhhbXBsZS5jb20vY2VydC5jZXIifQ"
    "."
    "eyJkZXN0Ijp7InRuIjpbIjEyMTU1NTUxMjE0Il19LCJkaXYiOnsidG4iOiIxMjE1NTU1NTEyMTMifSwiaWF0IjoxNDQzMjA4MzQ1LCJvcmlnIjp7In"
    "R"
    "uIjoiMTIxNTU1NTEyMTIifX0.xBHWipDEEJ8a6TsdX6xUXAnblsFiGUiAxwLiv0HLC9IICj6eG9jQd6WzeSSjHRBwxmChHhVIiMTSqIlk3yCNkg";
constexpr std::string_view rfc8946_key =
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEmzGM1VsO+3IqbMF54rQMaYKQftO4hUYm9wv5wutLgEd9FsiTy3+4+Wa2O7pffOXPC0QzO+yD8hGEXG"
    "P/2mZo6w==";
// RFC 8588 section 6 with a numeric iat (erratum 6656), signed with RFC 8225's A.2 key.
constexpr std::string_view rfc8588 =
    "eyJhbGciOiJFUzI1NiIsInBwdCI6InNoYWtlbiIsInR5cCI6InBhc3Nwb3J0IiwieDV1IjoiaHR0cHM6Ly9jZXJ0LmV4YW1wbGUub3JnL3Bhc3Nwb3"
    "J"
    "0LmNlciJ9."
    "eyJhdHRlc3QiOiJBIiwiZGVzdCI6eyJ0biI6WyIxMjE1NTU1MDEzMSJdfSwiaWF0IjoxNDQzMjA4MzQ1LCJvcmlnIjp7InRuIjoiMTIxN"
    "TU1NTAxMjEifSwib3JpZ2lkIjoiMTIzZTQ1NjctZTg5Yi0xMmQzLWE0NTYtNDI2NjU1NDQwMDAwIn0."
    "eWZgFH4MdSSbHLkBlVWFMeD57kot55SZE9Wg"
    "vyDg5njn12Uu6Z9eLJCC97Sdm1aQfrU8KvFSVfMhekJYiUb9PQ";

PublicKey spki(std::string_view base64) {
  return PublicKey::from_spki(base64_decode(base64).value()).value();
}

std::string rfc8225_token(std::string_view signature) {
  return std::string(rfc8225_h) + "." + std::string(rfc8225_p) + "." + std::string(signature);
}

Identity tn(std::string_view text) {
  return Identity::from_tn(text).value();
}
Identity uri(std::string_view text) {
  return Identity::from_uri(text).value();
}

TEST(Rfc8225, serialization_and_signing_input) {
  Passport passport;
  passport.x5u = "https://cert.example.org/passport.cer";
  passport.orig = tn("12155551212");
  passport.dest = {uri("sip:alice@example.com")};
  passport.iat = 1471375418;
  EXPECT_EQ(build_passport(passport, Algorithm::es256).value(), std::string(rfc8225_h) + "." + std::string(rfc8225_p));
}

TEST(Rfc8225, the_appendix_has_no_key_pair_and_no_valid_signature) {
  const SigningKey a1 = SigningKey::from_pkcs8(rfc8225_a1);
  EXPECT_FALSE(a1.public_key() == spki(rfc8225_a2));
  const auto printed = parse_passport(rfc8225_token(rfc8225_printed));
  ASSERT_TRUE(printed) << printed.error().detail;
  EXPECT_FALSE(verify_jws(printed->jws, a1.public_key()));
  EXPECT_FALSE(verify_jws(printed->jws, spki(rfc8225_a2)));
}

TEST(Rfc8225, deterministic_signatures_over_its_signing_input_verify) {
  const PublicKey a1 = SigningKey::from_pkcs8(rfc8225_a1).public_key();
  EXPECT_TRUE(verify_jws(parse_passport(rfc8225_token(rfc6979_a1)).value().jws, a1));
  EXPECT_TRUE(verify_jws(parse_passport(rfc8225_token(rfc6979_a2)).value().jws, spki(rfc8225_a2)));
  EXPECT_FALSE(verify_jws(parse_passport(rfc8225_token(rfc6979_a1)).value().jws, spki(rfc8225_a2)));
}

TEST(Rfc8224, good_signature_over_a_string_as_iat_is_refused) {
  const std::string token = std::string(rfc8225_h) + std::string(rfc8224_rest);
  EXPECT_TRUE(verify_jws(parse_jws(token).value(), spki(rfc8225_a2)));
  const auto parsed = parse_passport(token);
  ASSERT_FALSE(parsed);
  EXPECT_EQ(parsed.error().reason, "passport-malformed");
  EXPECT_EQ(parsed.error().param, "/iat");
}

TEST(Rfc8946, div_is_read_and_verifies) {
  const auto parsed = parse_passport(rfc8946).value();
  EXPECT_EQ(parsed.passport.ppt, "div");
  EXPECT_EQ(parsed.passport.div, tn("121555551213"));
  EXPECT_EQ(parsed.passport.orig, tn("12155551212"));
  EXPECT_EQ(parsed.passport.dest, std::vector{tn("12155551214")});
  EXPECT_EQ(parsed.passport.iat, 1443208345);
  EXPECT_TRUE(verify_jws(parsed.jws, spki(rfc8946_key)));
  EXPECT_EQ(build_passport(parsed.passport, Algorithm::es256).value(), parsed.jws.signing_input);
}

TEST(Rfc8588, shaken_is_read_verifies_and_is_built_alike) {
  const auto parsed = parse_passport(rfc8588).value();
  EXPECT_EQ(parsed.passport.ppt, "shaken");
  EXPECT_EQ(parsed.passport.attest, Attest::a);
  EXPECT_EQ(parsed.passport.origid, origid);
  EXPECT_TRUE(verify_jws(parsed.jws, spki(rfc8225_a2)));
  EXPECT_EQ(build_passport(parsed.passport, Algorithm::es256).value(), parsed.jws.signing_input);
}

class AvatarPassport : public ::testing::Test {
 protected:
  AvatarPassport() {
    const Fingerprint ue = Fingerprint::sha256_of(as_bytes("ue"));
    passport.ppt = "avatar";
    passport.x5u = "https://avseal.a.example/certs/00.pem";
    passport.orig = uri("sip:alice@a.example");
    passport.dest = {uri("sip:bob@b.example")};
    passport.iat = now;
    passport.attest = Attest::a;
    passport.origid = origid;
    passport.mky = {ue};
    passport.avatar = AvatarClaim{"xr-meeting", "urn:uuid:x", ue.to_x5t()};
  }

  std::string_view built() const {
    const auto input = build_passport(passport, Algorithm::es256);
    return input ? std::string_view("ok") : input.error().reason;
  }
  // The reason for refusing the good PASSporT with one part of its claims or header replaced.
  std::string_view parsed(std::string_view from, std::string_view to) {
    const auto good = parse_jws(key.sign_jws(build_passport(passport, Algorithm::es256).value())).value();
    const bool in_header = good.header_text.find(from) != std::string::npos;
    const std::string token = jws_of(in_header ? replaced(good.header_text, from, to) : good.header_text,
                                     in_header ? good.payload_text : replaced(good.payload_text, from, to), key);
    const auto result = parse_passport(token);
    return result ? std::string_view("ok") : result.error().reason;
  }

  SigningKey key;
  Passport passport;
};

TEST_F(AvatarPassport, is_written_as_designed) {
  const auto jws = parse_jws(key.sign_jws(build_passport(passport, Algorithm::es256).value())).value();
  EXPECT_EQ(jws.header_text,
            R"({"alg":"ES256","ppt":"avatar","typ":"passport","x5u":"https://avseal.a.example/certs/00.pem"})");
  EXPECT_EQ(jws.payload_text,
            R"({"attest":"A","avatar":{"app":"xr-meeting","id":"urn:uuid:x","ue":")" + passport.mky[0].to_x5t() +
                R"("},"dest":{"uri":["sip:bob@b.example"]},"iat":1763930000,"mky":[{"alg":"sha-256","dig":")" +
                passport.mky[0].to_mky_dig() + R"("}],"orig":{"uri":"sip:alice@a.example"},"origid":")" + origid +
                R"("})");
}

TEST_F(AvatarPassport, survives_building_and_parsing) {
  passport.dest = {uri("sip:zoe@b.example"), uri("tel:+1-703-555-0001"), uri("sip:bob@b.example"), tn("17035550000"),
                   uri("sip:bob@b.example")};
  passport.mky.push_back(Fingerprint::from_mky("sha-512", std::string(128, 'A')).value());
  passport.mky.push_back(Fingerprint::sha256_of(as_bytes("first")));
  passport.mky.push_back(passport.mky[0]);
  const auto parsed = parse_passport(key.sign_jws(build_passport(passport, Algorithm::es384).value())).value().passport;
  EXPECT_EQ(parsed.dest,
            (std::vector{tn("17035550000"), tn("17035550001"), uri("sip:bob@b.example"), uri("sip:zoe@b.example")}));
  ASSERT_EQ(parsed.mky.size(), 3U);
  EXPECT_EQ(parsed.mky[2].algorithm(), "sha-512");
  EXPECT_EQ(parsed.avatar->id, "urn:uuid:x");
  EXPECT_EQ(parsed.avatar->app, "xr-meeting");
  EXPECT_EQ(parsed.attest, Attest::a);
  EXPECT_EQ(parsed.orig.impu().canonical(), "sip:alice@a.example");
}

TEST_F(AvatarPassport, building_checks_meaning) {
  EXPECT_EQ(built(), "ok");
  const Passport good = passport;
  const auto with = [&](auto change) {
    passport = good;
    change(passport);
    return built();
  };
  EXPECT_EQ(with([](Passport& p) { p.ppt = "rcd"; }), "passport-invalid");
  EXPECT_EQ(with([](Passport& p) { p.ppt = "shaken"; }), "passport-invalid");
  EXPECT_EQ(with([](Passport& p) { p.ppt = ""; }), "passport-invalid");
  EXPECT_EQ(with([](Passport& p) { p.attest.reset(); }), "passport-invalid");
  EXPECT_EQ(with([](Passport& p) { p.attest = static_cast<Attest>('D'); }), "attest-invalid");
  EXPECT_EQ(with([](Passport& p) { p.origid = "1"; }), "origid-invalid");
  EXPECT_EQ(with([](Passport& p) { p.origid = ""; }), "passport-invalid");
  EXPECT_EQ(with([](Passport& p) { p.origid[10] = 'E'; }), "passport-invalid");
  EXPECT_EQ(with([](Passport& p) { p.orig.value = "sip:Alice@A.example"; }), "passport-invalid");
  EXPECT_EQ(with([](Passport& p) { p.orig.value = "mailto:a"; }), "impu-invalid");
  EXPECT_EQ(with([](Passport& p) { p.orig = {true, "+17035550001"}; }), "passport-invalid");
  EXPECT_EQ(with([](Passport& p) { p.orig = {true, "x"}; }), "tn-invalid");
  EXPECT_EQ(with([](Passport& p) { p.dest.clear(); }), "passport-invalid");
  EXPECT_EQ(with([](Passport& p) { p.dest[0].value = "sip:b"; }), "impu-invalid");
  EXPECT_EQ(with([](Passport& p) { p.iat = -1; }), "passport-invalid");
  EXPECT_EQ(with([](Passport& p) { p.x5u = "http://a.example/c.pem"; }), "x5u-invalid");
  EXPECT_EQ(with([](Passport& p) { p.x5u = "https://a.example/c.pem>;x=<"; }), "x5u-invalid");
  EXPECT_EQ(with([](Passport& p) { p.mky.clear(); }), "passport-invalid");
  EXPECT_EQ(with([](Passport& p) { p.mky = {Fingerprint::sha256_of({})}; }), "avatar-ue-not-in-mky");
  EXPECT_EQ(with([](Passport& p) { p.avatar->ue = "x"; }), "fingerprint-malformed");
  EXPECT_EQ(with([](Passport& p) { p.avatar->id = "a b"; }), "avatar-id-invalid");
  EXPECT_EQ(with([](Passport& p) { p.avatar->app = ""; }), "application-id-invalid");
  EXPECT_EQ(with([](Passport& p) { p.avatar.reset(); }), "passport-invalid");
  EXPECT_EQ(with([](Passport& p) { p.div = p.orig; }), "passport-invalid");
}

TEST_F(AvatarPassport, parsing_refuses_types_and_extensions) {
  EXPECT_EQ(parsed("\"typ\":\"passport\"", "\"typ\":\"JWT\""), "passport-type");
  EXPECT_EQ(parsed("\"typ\":\"passport\",", ""), "passport-type");
  EXPECT_EQ(parsed("\"typ\":\"passport\"", "\"typ\":[]"), "passport-type");
  EXPECT_EQ(parsed("\"ppt\":\"avatar\"", "\"ppt\":\"rcd\""), "ppt-unsupported");
  EXPECT_EQ(parsed("\"ppt\":\"avatar\"", "\"ppt\":\"\""), "ppt-unsupported");
  EXPECT_EQ(parsed("\"ppt\":\"avatar\"", "\"ppt\":1"), "passport-malformed");
  EXPECT_EQ(parsed("https://avseal.a.example/", "http://avseal.a.example/"), "x5u-invalid");
  EXPECT_EQ(parsed("\"x5u\"", "\"x5v\""), "passport-malformed");
}

TEST_F(AvatarPassport, parsing_refuses_malformed_claims) {
  EXPECT_EQ(parsed("1763930000", "1763930000"), "ok");
  for (const auto& [from, to] : {std::pair{"1763930000", "\"1763930000\""},
                                 {"1763930000", "1763930000.0"},
                                 {"1763930000", "-1"},
                                 {"1763930000", "253402300800"},
                                 {"\"iat\":1763930000,", ""},
                                 {"{\"uri\":\"sip:alice@a.example\"}", "\"x\""},
                                 {"{\"uri\":\"sip:alice@a.example\"}", "{}"},
                                 {"{\"uri\":\"sip:alice@a.example\"}", "{\"uri\":[\"sip:a@b\"]}"},
                                 {"{\"uri\":\"sip:alice@a.example\"}", "{\"uri\":\"sip:a@b\",\"tn\":\"1\"}"},
                                 {"{\"uri\":\"sip:alice@a.example\"}", "{\"uri\":\"sip:a@b\",\"x\":\"1\"}"},
                                 {"[\"sip:bob@b.example\"]", "\"sip:bob@b.example\""},
                                 {"[\"sip:bob@b.example\"]", "[1]"},
                                 {"{\"uri\":[\"sip:bob@b.example\"]}", "{\"urn\":[]}"},
                                 {"\"attest\":\"A\",", ""},
                                 {"\"attest\":\"A\"", "\"attest\":1"},
                                 {"\"alg\":\"sha-256\",", ""},
                                 {"\"app\":\"xr-meeting\",", ""},
                                 {"\"app\":", "\"x\":1,\"app\":"},
                                 {"\"attest\"", "\"rcd\":{},\"attest\""},
                                 {"\"attest\"", "\"iat\":1,\"attest\""},
                                 {"\"mky\":", "\"mkx\":"}}) {
    EXPECT_EQ(parsed(from, to), "passport-malformed") << to;
  }
}

TEST_F(AvatarPassport, parsing_checks_meaning) {
  EXPECT_EQ(parsed("\"attest\":\"A\"", "\"attest\":\"D\""), "attest-invalid");
  EXPECT_EQ(parsed("123e4567-", "123e4567+"), "origid-invalid");
  EXPECT_EQ(parsed("sip:alice@a.example", "mailto:alice"), "impu-invalid");
  EXPECT_EQ(parsed("\"uri\":\"sip:alice@a.example\"", "\"tn\":\"1x\""), "tn-invalid");
  EXPECT_EQ(parsed("[\"sip:bob@b.example\"]", "[]"), "passport-invalid");
  EXPECT_EQ(parsed("\"alg\":\"sha-256\"", "\"alg\":\"sha-1\""), "fingerprint-weak");
  EXPECT_EQ(parsed(passport.mky[0].to_mky_dig(), "AB"), "fingerprint-malformed");
  EXPECT_EQ(parsed(passport.avatar->ue, Fingerprint::sha256_of({}).to_x5t()), "avatar-ue-not-in-mky");
  EXPECT_EQ(parsed("urn:uuid:x", "a b"), "avatar-id-invalid");
  EXPECT_EQ(parsed("xr-meeting", "<"), "application-id-invalid");
}

TEST_F(AvatarPassport, parsing_makes_identities_canonical) {
  const auto good = parse_jws(key.sign_jws(build_passport(passport, Algorithm::es256).value())).value();
  const std::string token =
      jws_of(good.header_text,
             replaced(replaced(good.payload_text, "sip:alice@a.example", "SIP:alice@A.Example:5060"), origid,
                      "123E4567-E89B-12D3-A456-426655440000"),
             key);
  const auto result = parse_passport(token).value().passport;
  EXPECT_EQ(result.orig, passport.orig);
  EXPECT_EQ(result.origid, origid);
}

TEST(OtherPassports, of_shaken_may_carry_claims_of_others_and_fingerprints) {
  const SigningKey key;
  const std::string header = R"({"alg":"ES256","ppt":"shaken","typ":"passport","x5u":"https://a.example/c"})";
  const std::string claims =
      R"({"attest":"B","dest":{"tn":["1"]},"iat":1,"orig":{"tn":"+1-2"},"origid":"123e4567-e89b-12d3-a456-426655440000","rcd":{"nam":"x"}})";
  const auto parsed = parse_passport(jws_of(header, claims, key)).value().passport;
  EXPECT_EQ(parsed.orig.value, "12");
  EXPECT_EQ(parsed.attest, Attest::b);
  EXPECT_TRUE(parsed.mky.empty());
  EXPECT_FALSE(parse_passport(jws_of(header, replaced(claims, "\"rcd\"", "\"mky\":[],\"rcd\""), key)));
}

TEST(OtherPassports, of_div_refuse_opt_and_accept_hi) {
  const SigningKey key;
  const std::string header = R"({"alg":"ES256","ppt":"div","typ":"passport","x5u":"https://a.example/c"})";
  const std::string claims = R"({"dest":{"tn":["1"]},"div":{"tn":"2","hi":"1.1"},"iat":1,"orig":{"tn":"3"}})";
  EXPECT_TRUE(parse_passport(jws_of(header, claims, key)));
  EXPECT_FALSE(parse_passport(jws_of(header, replaced(claims, "\"iat\"", "\"opt\":\"x\",\"iat\""), key)));
  EXPECT_FALSE(parse_passport(jws_of(header, replaced(claims, "\"div\"", "\"dix\""), key)));
}

TEST(IdentityType, forms) {
  EXPECT_TRUE(uri("tel:+1-2").is_tn);
  EXPECT_EQ(uri("tel:+1-2").impu().canonical(), "tel:+12");
  EXPECT_EQ(tn("12").impu().canonical(), "tel:+12");
  EXPECT_FALSE(Identity::from_tn("*67")) << "no IMPU";
  EXPECT_FALSE(Identity::from_uri("12"));
  EXPECT_EQ(Identity::of(Impu::parse("sip:a@b").value()).value, "sip:a@b");
}

TEST(Attestation, three_levels) {
  EXPECT_EQ(parse_attest("A").value(), Attest::a);
  EXPECT_EQ(parse_attest("C").value(), Attest::c);
  for (const char* text : {"", "a", "D", "AB"}) EXPECT_EQ(parse_attest(text).error().reason, "attest-invalid");
}

std::string_view header_reason(std::string_view value) {
  const auto parsed = parse_identity_header(value);
  return parsed ? "ok" : parsed.error().reason;
}

TEST(IdentityHeaderType, written_and_read_again) {
  const IdentityHeader header{"aa.bb.cc", "https://a.example/c.pem", "ES256", "avatar"};
  const std::string text = format_identity_header(header);
  EXPECT_EQ(text, R"(aa.bb.cc;info=<https://a.example/c.pem>;alg=ES256;ppt="avatar")");
  const auto parsed = parse_identity_header(text).value();
  EXPECT_EQ(parsed.passport, header.passport);
  EXPECT_EQ(parsed.info, header.info);
  EXPECT_EQ(parsed.alg, header.alg);
  EXPECT_EQ(parsed.ppt, header.ppt);
  EXPECT_EQ(format_identity_header({"aa.bb.cc", "https://a/", "ES384", ""}), "aa.bb.cc;info=<https://a/>;alg=ES384");
}

TEST(IdentityHeaderType, accepts_what_RFC_8224_and_the_field_write) {
  for (const char* text :
       {"a-_.b.c;info=<https://a/>;alg=ES256;ppt=shaken", "a.b.c;info=<https://a/>;ppt=\"shaken\"",
        "a.b.c ; info = <https://a/> ; alg = ES256 ; ppt=shaken", "a.b.c\r\n ;info=<https://a/>\r\n\t;ppt=shaken",
        "a.b.c;x;y=z;q=\"; \\\"\";ppt=shaken;INFO=<https://a/>;PPT2=1", "a.b.c;ppt=shaken;info=<https://a/;x=1>"}) {
    const auto parsed = parse_identity_header(text);
    ASSERT_TRUE(parsed) << text << ": " << parsed.error().detail;
    EXPECT_EQ(parsed->ppt, "shaken") << text;
    EXPECT_EQ(parsed->alg, "ES256") << text;
    EXPECT_TRUE(parsed->info.starts_with("https://a/")) << text;
  }
  EXPECT_EQ(parse_identity_header("a.b.c;info=<https://a/>").value().ppt, "");
}

TEST(IdentityHeaderType, refuses_other_texts) {
  for (const char* text : {"",
                           ";info=<https://a/>",
                           "a.b.c",
                           "a.b.c;",
                           "a.b.c;info",
                           "a.b.c;info=https://a/",
                           "a.b.c;info=<>",
                           "a.b.c;info=<https://a/",
                           "a.b.c;info=<https://a b/>",
                           "a.b.c;info=\"https://a/\"",
                           "a.b.c;info=<https://a/>;",
                           "a.b.c;info=<https://a/>;info=<https://b/>",
                           "a.b.c;info=<https://a/>;ppt=shaken;ppt=avatar",
                           "a.b.c;info=<https://a/>;ppt=\"shaken",
                           "a.b.c;info=<https://a/>;ppt=\"sha\\",
                           "a.b.c;info=<https://a/>;ppt=",
                           "a.b.c;info=<https://a/>;ppt=<x>",
                           "a.b.c;info=<https://a/>x",
                           "a.b.c;info=<https://a/>,a.b.c;info=<https://a/>",
                           "a.b.c;info=<https://a/>;alg=\"E S\"",
                           "a\xC3\xA9;info=<https://a/>",
                           "a.b.c\n;info=<https://a/>",
                           "a.b.c;info=<https://a/\n>",
                           "a.b.c;=x;info=<https://a/>"}) {
    EXPECT_EQ(header_reason(text), "identity-header-malformed") << text;
  }
  EXPECT_EQ(header_reason("a.b.c;info=<https://a/>;x=" + std::string(17000, 'x')), "identity-header-malformed");
}

TEST(IdentityHeaderType, compact_form_has_its_own_reason) {
  EXPECT_EQ(header_reason("..c;info=<https://a/>"), "identity-compact-form");
  EXPECT_EQ(header_reason("a..c;info=<https://a/>"), "identity-compact-form");
}

}  // namespace
}  // namespace avseal::tokens
