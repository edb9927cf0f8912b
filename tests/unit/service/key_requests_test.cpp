#include "service/key_requests.hpp"

#include <gtest/gtest.h>

namespace avseal::service {
namespace {

constexpr const char* id = "123e4567-e89b-12d3-a456-426655440000";

template <class T>
std::string reason(const Result<T>& result) {
  return result ? "" : std::string(result.error().reason);
}

TEST(KeyRequests, AChangeHasAStateAndRetiringAReason) {
  const auto staged = parse_key_change("next", R"({"state":"staged"})").value();
  EXPECT_EQ(staged.name, "next");
  EXPECT_EQ(staged.to, KeyState::staged);
  EXPECT_EQ(staged.reason, "");
  EXPECT_EQ(parse_key_change("k", R"({"state":"active"})")->to, KeyState::active);
  const auto retired = parse_key_change("k", R"({"state":"retired","force":"stolen"})").value();
  EXPECT_EQ(retired.to, KeyState::retired);
  EXPECT_EQ(retired.reason, "stolen");
}

TEST(KeyRequests, AChangeIsStrict) {
  EXPECT_EQ(reason(parse_key_change("k", R"({"state":"verifying"})")), "key-state-invalid");
  EXPECT_EQ(reason(parse_key_change("k", R"({"state":"Active"})")), "key-state-invalid");
  EXPECT_EQ(reason(parse_key_change("k", R"({"state":"active","force":"x"})")), "force-invalid");
  EXPECT_EQ(reason(parse_key_change("k", R"({"state":"retired","force":""})")), "force-invalid");
  EXPECT_EQ(reason(parse_key_change("k", R"({"state":"retired","force":"a\nb"})")), "force-invalid");
  EXPECT_EQ(reason(parse_key_change("k", R"({"state":"retired","force":"sip:b"})")), "force-invalid");
  EXPECT_EQ(reason(parse_key_change("k", R"({"state":"active","now":1})")), "member-unknown");
  EXPECT_EQ(reason(parse_key_change("k", "{}")), "member-missing");
  EXPECT_EQ(reason(parse_key_change("k", "")), "json-malformed");
}

TEST(KeyRequests, AnActIsNamedAndItsFactsAreShort) {
  const auto act = parse_act(R"({"act":"key.generate","object":{"label":"k"},"terminal":{"uid":0}})").value();
  EXPECT_EQ(act.name, "key.generate");
  EXPECT_EQ(act.object.at("label").as_string(), "k");
  EXPECT_EQ(act.terminal.at("uid").as_int64(), 0);
  EXPECT_EQ(act.id.size(), 36U);
  for (const std::string facts : {R"({"a":[]})", R"({"a":{}})", R"({"a":true})", R"({"a":1.5})", R"({"a":"\u0001"})"}) {
    EXPECT_EQ(reason(parse_act(R"({"act":"key.x","terminal":{},"object":)" + facts + "}")), "act-facts") << facts;
  }
  const std::string longest(256, 'x');
  EXPECT_TRUE(parse_act(R"({"act":"key.x","terminal":{},"object":{"a":")" + longest + "\"}}"));
  EXPECT_EQ(reason(parse_act(R"({"act":"key.x","terminal":{},"object":{"a":"x)" + longest + "\"}}")), "act-facts");
  std::string many;
  for (int i = 0; i < 17; ++i) many += (i == 0 ? "\"" : ",\"") + std::to_string(i) + "\":0";
  EXPECT_EQ(reason(parse_act(R"({"act":"key.x","terminal":{)" + many + R"(},"object":{}})")), "act-facts");
  EXPECT_EQ(reason(parse_act(R"({"act":"Key","object":{},"terminal":{}})")), "act-name");
  EXPECT_EQ(reason(parse_act(R"({"act":"","object":{},"terminal":{}})")), "act-name");
  EXPECT_EQ(reason(parse_act(R"({"act":"k","object":{},"terminal":{},"x":1})")), "member-unknown");
}

TEST(KeyRequests, AnOutcomeIsDoneWithAResultOrFailedForAReason) {
  const std::string act = R"({"act":"key.destroy","object":{},"terminal":{},)";
  const auto done = parse_act_outcome(id, act + R"("outcome":"done","result":{"id":"01"}})").value();
  EXPECT_TRUE(done.done);
  EXPECT_EQ(done.act.id, id);
  EXPECT_EQ(done.result.at("id").as_string(), "01");
  const auto failed = parse_act_outcome(id, act + R"("outcome":"failed","reason":"hsm-error"})").value();
  EXPECT_FALSE(failed.done);
  EXPECT_EQ(failed.reason, "hsm-error");
  EXPECT_EQ(reason(parse_act_outcome("1", act + R"("outcome":"done","result":{}})")), "act-id");
  EXPECT_EQ(reason(parse_act_outcome(id, act + R"("outcome":"perhaps","result":{}})")), "act-outcome");
  EXPECT_EQ(reason(parse_act_outcome(id, act + R"("outcome":"failed","reason":"No!"})")), "act-reason");
  EXPECT_EQ(reason(parse_act_outcome(id, act + R"("outcome":"failed","result":{}})")), "member-missing");
  EXPECT_EQ(reason(parse_act_outcome(id, act + R"("outcome":"done","result":{},"reason":"x"})")), "member-unknown");
}

}  // namespace
}  // namespace avseal::service
