// A diverted call passes by a chain of div PASSporTs from the original's dest to where the call is; each way to widen
// what the original allows is refused, with its own reason.
#include "signing/diversion.hpp"

#include <gtest/gtest.h>

#include "signing/verifier.hpp"
#include "site.hpp"

namespace avseal {
namespace {

using Headers = std::vector<std::string>;

constexpr const char* alice = "sip:alice@a.example";
constexpr const char* bob = "sip:bob@b.example";
constexpr const char* carol = "sip:carol@c.example";
constexpr const char* dave = "sip:dave@d.example";

tokens::Identity id(const char* uri) {
  return tokens::Identity::from_uri(uri).value();
}

class Diverted : public testing::Test {
 protected:
  // The network of a host, whose signer has authority over that host alone.
  struct Network {
    test::Key key = test::make_key();
    std::string url;
  };
  Network network(const std::string& host) {
    Network out;
    out.url = "https://certs.b.example/" + host + ".pem";
    auto subject = test::signer_subject(site.now);
    subject.san = {"DNS:" + host};
    site.certificates_at[out.url] = site.stir.issue(subject, out.key).pem();
    return out;
  }
  // A call from Alice for `div` goes to `dest`.
  tokens::Passport diversion(const char* div, const char* dest, const Network& by) {
    tokens::Passport out;
    out.ppt = "div";
    out.x5u = by.url;
    out.orig = id(alice);
    out.dest = {id(dest)};
    out.iat = site.now;
    out.div = id(div);
    return out;
  }
  std::string divert(const char* div, const char* dest, const Network& by) {
    return site.assemble(diversion(div, dest, by), by.key);
  }
  std::string original() { return site.assemble(site.passport(), site.key); }
  tokens::Passport shaken() {
    auto out = site.passport();
    out.ppt = "shaken";
    out.avatar.reset();
    out.mky.clear();
    return out;
  }

  signing::CallFacts call(const char* now_at, Headers diversions) {
    return {id(alice), {id(bob), id(now_at)}, {test::fingerprint_a}, std::nullopt, site.now, std::move(diversions)};
  }
  Result<signing::VerifiedPassport> verify(const std::string& header, signing::CallFacts facts) {
    return test::run(site.context, site.role->verifier().verify_call(header, std::move(facts), site.now));
  }
  std::string reason(const char* now_at, Headers diversions) {
    return reason(original(), call(now_at, std::move(diversions)));
  }
  std::string reason(const std::string& header, signing::CallFacts facts) {
    const auto result = verify(header, std::move(facts));
    if (result) return "";
    EXPECT_EQ(result.error().category, Category::invalid) << result.error().detail;
    return std::string(result.error().reason);
  }

  test::Site site;
  Network b = network("b.example");
  Network c = network("c.example");
};

TEST_F(Diverted, PassesByTheDivOfTheCallee) {
  const auto verified = verify(original(), call(carol, {divert(bob, carol, b)}));
  ASSERT_TRUE(verified) << verified.error().reason;
  EXPECT_EQ(verified->passport.ppt, "avatar");
  EXPECT_EQ(verified->signer.sha256_hex(), site.certificate.sha256_hex());
  ASSERT_EQ(verified->diverted.size(), 1U);
  EXPECT_EQ(verified->diverted[0].party, id(bob));
}

TEST_F(Diverted, PassesWhenTheToHeaderIsChangedToo) {
  auto facts = call(carol, {divert(bob, carol, b)});
  facts.to = {id(carol)};
  EXPECT_EQ(reason(original(), facts), "");
}

TEST_F(Diverted, PassesByAChainInAnyOrder) {
  const std::string first = divert(bob, carol, b);
  const std::string second = divert(carol, dave, c);
  for (const Headers& headers : {Headers{first, second}, Headers{second, first}}) {
    const auto verified = verify(original(), call(dave, headers));
    ASSERT_TRUE(verified) << verified.error().reason;
    ASSERT_EQ(verified->diverted.size(), 2U);
    EXPECT_EQ(verified->diverted[0].party, id(bob));
    EXPECT_EQ(verified->diverted[1].party, id(carol));
    EXPECT_EQ(headers[verified->diverted[0].header], first);
  }
  EXPECT_EQ(reason(carol, {first, second}), "");
}

TEST_F(Diverted, NeedsNoDivWhereTheOriginalLeads) {
  const auto verified = verify(original(), call(bob, {divert(bob, carol, b)}));
  ASSERT_TRUE(verified) << verified.error().reason;
  EXPECT_TRUE(verified->diverted.empty());
}

TEST_F(Diverted, ShakenPassesLikewiseAndByAFreshDivOfAnotherSecond) {
  auto div = diversion(bob, carol, b);
  div.iat -= 60;
  auto facts = call(carol, {site.assemble(div, b.key)});
  facts.fingerprints.clear();
  EXPECT_EQ(reason(site.assemble(shaken(), site.key), facts), "");
}

TEST_F(Diverted, NobodyGetsTheCallWithoutADiv) {
  EXPECT_EQ(reason(carol, {}), "dest-mismatch");
}

TEST_F(Diverted, ADivLeadsOnlyWhereItSays) {
  EXPECT_EQ(reason(dave, {divert(bob, carol, b)}), "div-dest-mismatch");
  auto facts = call(carol, {divert(bob, carol, b)});
  facts.to.push_back(id(dave));
  EXPECT_EQ(reason(original(), facts), "div-dest-mismatch");
}

TEST_F(Diverted, ADivBeginsWhereTheOriginalLeads) {
  EXPECT_EQ(reason(dave, {divert(carol, dave, c)}), "div-not-linked");
  EXPECT_EQ(reason(carol, {divert(alice, carol, b)}), "div-not-linked");
}

// Cut from one call and pasted onto another.
TEST_F(Diverted, ADivOfAnotherCallerDoesNotCount) {
  auto div = diversion(bob, carol, b);
  div.orig = id("sip:mallory@a.example");
  EXPECT_EQ(reason(carol, {site.assemble(div, b.key)}), "div-orig-mismatch");
}

TEST_F(Diverted, ADivOfAnotherCallOfTheCallerDoesNotCount) {
  auto div = diversion(bob, carol, b);
  div.iat -= 1;
  EXPECT_EQ(reason(carol, {site.assemble(div, b.key)}), "div-iat-mismatch");
}

TEST_F(Diverted, ADivIsRememberedWithItsCall) {
  const std::string div = divert(bob, carol, b);
  auto facts = call(carol, {div});
  facts.call_id = "call-1";
  EXPECT_EQ(reason(original(), facts), "");
  EXPECT_EQ(reason(original(), facts), "");
  // Another avatar call of Alice to Bob within the same second.
  auto another = site.passport();
  another.origid = "223e4567-e89b-12d3-a456-426655440000";
  facts.call_id = "call-2";
  EXPECT_EQ(reason(site.assemble(another, site.key), facts), "passport-replayed");
  // A plain call is not more than its two parties and their time.
  another.ppt = "shaken";
  another.avatar.reset();
  another.mky.clear();
  facts.fingerprints.clear();
  EXPECT_EQ(reason(site.assemble(another, site.key), facts), "");
}

TEST_F(Diverted, OnlyTheDivertingPartysNetworkMaySign) {
  for (const Network& by : {c, network("a.example"), network("sub.b.example")}) {
    EXPECT_EQ(reason(carol, {divert(bob, carol, by)}), "certificate-not-authoritative-for-div") << by.url;
  }
  // The second of two.
  EXPECT_EQ(reason(dave, {divert(bob, carol, b), divert(carol, dave, b)}), "certificate-not-authoritative-for-div");
}

TEST_F(Diverted, AuthorityOverTheCallerIsStillTheOriginalsSigners) {
  EXPECT_EQ(reason(site.assemble(site.passport(), b.key), call(carol, {divert(bob, carol, b)})), "signature-invalid");
  auto foreign = site.passport();
  foreign.x5u = b.url;
  EXPECT_EQ(reason(site.assemble(foreign, b.key), call(carol, {divert(bob, carol, b)})),
            "certificate-not-authoritative");
}

TEST_F(Diverted, ByNumberTheListDecides) {
  auto passport = shaken();
  passport.orig = tokens::Identity::from_tn("17035550001").value();
  passport.dest = {tokens::Identity::from_tn("17035550009").value()};
  for (const auto& [number, expected] : std::initializer_list<std::pair<const char*, const char*>>{
           {"17035550009", ""}, {"17035550010", "certificate-not-authoritative-for-div"}}) {
    passport.dest = {tokens::Identity::from_tn(number).value()};
    auto div = diversion(bob, carol, b);
    div.orig = passport.orig;
    div.div = passport.dest.front();
    signing::CallFacts facts{passport.orig, {passport.dest.front(), id(carol)}, {}, std::nullopt,
                             site.now,      {site.assemble(div, b.key)}};
    EXPECT_EQ(reason(site.assemble(passport, site.key), facts), expected) << number;
  }
}

TEST_F(Diverted, ASignatureOfAnotherKeyDoesNotCount) {
  EXPECT_EQ(reason(carol, {site.assemble(diversion(bob, carol, b), c.key)}), "signature-invalid");
}

TEST_F(Diverted, AnUntrustedOrUnreachableSignerDoesNotCount) {
  Network stranger = network("stranger.example");
  auto subject = test::signer_subject(site.now);
  subject.san = {"DNS:b.example"};
  site.certificates_at[stranger.url] = site.tls.issue(subject, stranger.key).pem();
  EXPECT_EQ(reason(carol, {divert(bob, carol, stranger)}), "certificate-untrusted");
  Network away = b;
  away.url = "https://certs.b.example/none.pem";
  EXPECT_EQ(reason(carol, {divert(bob, carol, away)}), "x5u-unreachable");
}

TEST_F(Diverted, EachIsFresh) {
  auto div = diversion(bob, carol, b);
  div.iat -= 61;
  auto facts = call(carol, {site.assemble(div, b.key)});
  facts.fingerprints.clear();
  EXPECT_EQ(reason(site.assemble(shaken(), site.key), facts), "iat-stale");
  div.iat += 122;
  facts.diversions = {site.assemble(div, b.key)};
  EXPECT_EQ(reason(site.assemble(shaken(), site.key), facts), "iat-future");
  div.iat = site.now - 30;
  facts.time = site.now + 31;
  facts.diversions = {site.assemble(div, b.key)};
  EXPECT_EQ(reason(site.assemble(shaken(), site.key), facts), "date-stale");
  // And a fresh div does not refresh a stale original.
  const auto stale = original();
  site.now += 61;
  EXPECT_EQ(reason(stale, call(carol, {divert(bob, carol, b)})), "iat-stale");
}

TEST_F(Diverted, LoopsAreRefused) {
  const std::string out = divert(bob, carol, b);
  const std::string back = divert(carol, bob, c);
  EXPECT_EQ(reason(dave, {out, back}), "div-loop");
  EXPECT_EQ(reason(dave, {out, back, divert(bob, dave, b)}), "div-loop");
  EXPECT_EQ(reason(dave, {divert(bob, dave, b), back, out}), "div-loop");
  EXPECT_EQ(reason(dave, {divert(bob, bob, b)}), "div-loop");
  EXPECT_EQ(reason(carol, {out, out}), "div-loop");
}

TEST_F(Diverted, AChainIsBounded) {
  const char* parties[] = {
      bob, carol, "sip:p2@c.example", "sip:p3@c.example", "sip:p4@c.example", "sip:p5@c.example", "sip:p6@c.example"};
  Headers headers;
  for (std::size_t n = 0; n < 5; ++n) headers.push_back(divert(parties[n], parties[n + 1], n == 0 ? b : c));
  EXPECT_EQ(reason(parties[5], headers), "");
  headers.push_back(divert(parties[5], parties[6], c));
  EXPECT_EQ(reason(parties[6], headers), "div-chain-too-long");
}

TEST_F(Diverted, WhatIsNoDivDoesNotCount) {
  EXPECT_EQ(reason(carol, {"nonsense"}), "identity-header-malformed");
  auto to_carol = site.passport();
  to_carol.dest = {id(carol)};
  to_carol.x5u = b.url;
  EXPECT_EQ(reason(carol, {site.assemble(to_carol, b.key)}), "ppt-unsupported");
  // But it does no harm beside one.
  EXPECT_EQ(reason(carol, {"nonsense", divert(bob, carol, b)}), "");
}

TEST_F(Diverted, ADivIsNoOriginal) {
  EXPECT_EQ(reason(divert(bob, carol, b), call(carol, {divert(bob, carol, b)})), "ppt-unsupported");
  const auto granted =
      test::run(site.context, site.role->verifier().verify_for_authorization(divert(bob, carol, b), site.now, 600));
  EXPECT_EQ(granted.error().reason, "ppt-unsupported");
}

TEST_F(Diverted, TheSdpIsStillTheOriginals) {
  auto facts = call(carol, {divert(bob, carol, b)});
  facts.fingerprints = {test::fingerprint_b};
  EXPECT_EQ(reason(original(), facts), "fingerprint-mismatch");
}

TEST_F(Diverted, NothingIsFetchedForWhatDoesNotLink) {
  EXPECT_EQ(reason(dave, {divert(bob, carol, b)}), "div-dest-mismatch");
  EXPECT_EQ(reason(dave, {divert(carol, dave, c)}), "div-not-linked");
  EXPECT_EQ(site.fetches, 0);
}

}  // namespace
}  // namespace avseal
