// /subscriptions/v1/{impu} and /calls/v1/{origid}
#include <gtest/gtest.h>

#include "site.hpp"

namespace avseal {
namespace {

namespace json = boost::json;
using http::Method;

constexpr const char* alice = "/subscriptions/v1/sip:alice@a.example";
constexpr const char* document = R"({"avatars":[{"applications":["xr-meeting","game"],"id":"avatar-1"},)"
                                 R"({"applications":["game"],"id":"avatar-2"}],"impu":"sip:alice@a.example"})";

std::string reason_of(const http::Response& response) {
  return std::string(test::parse(response).at("reason").as_string());
}

class Subscriptions : public testing::Test {
 protected:
  http::Response put(const std::string& body, const std::string& path = alice) {
    return site.call(Method::put, path, body, &site.operator_);
  }
  http::Response get(const std::string& path, const tokens::Certificate& client) {
    return site.call(Method::get, path, "", &client);
  }
  test::Site site;
};

TEST_F(Subscriptions, ArePutReadAndDeleted) {
  EXPECT_EQ(get(alice, site.operator_).status, 404U);
  EXPECT_EQ(put(document).status, 201U);
  EXPECT_EQ(put(document).status, 200U);
  const auto response = get(alice, site.operator_);
  EXPECT_EQ(response.status, 200U);
  EXPECT_EQ(test::parse(response), json::parse(document));
  EXPECT_EQ(site.call(Method::del, alice, "", &site.operator_).status, 204U);
  EXPECT_EQ(get(alice, site.operator_).status, 404U);
  EXPECT_EQ(site.call(Method::del, alice, "", &site.operator_).status, 404U);
}

TEST_F(Subscriptions, EveryWriteIsALeafWithoutTheName) {
  put(document);
  site.call(Method::del, alice, "", &site.operator_);
  site.call(Method::del, alice, "", &site.operator_);
  site.subscriptions.failure = errors::make(Category::unavailable, "store-unavailable", "");
  EXPECT_EQ(put(document).status, 503U);
  const auto leaves = site.leaves();
  ASSERT_EQ(leaves.size(), 4U);
  const char* const expected[][2] = {{"subscription.put", "released"},
                                     {"subscription.delete", "released"},
                                     {"subscription.delete", "refused"},
                                     {"subscription.put", "discarded"}};
  for (std::size_t i = 0; i < leaves.size(); ++i) {
    const auto text = json::serialize(leaves[i]);
    EXPECT_NE(text.find(expected[i][0]), std::string::npos) << text;
    EXPECT_NE(text.find(expected[i][1]), std::string::npos) << text;
    EXPECT_EQ(text.find("alice"), std::string::npos) << text;
  }
}

TEST_F(Subscriptions, WithoutALedgerNothingIsWritten) {
  site.ledger->close();
  EXPECT_EQ(put(document).status, 503U);
  EXPECT_TRUE(site.subscriptions.rows.empty());
}

TEST_F(Subscriptions, AWriteIsSeenAtOnce) {
  EXPECT_EQ(get(alice, site.ims_as).status, 404U);
  put(document);
  EXPECT_EQ(get(alice, site.ims_as).status, 200U);
  site.call(Method::del, alice, "", &site.operator_);
  EXPECT_EQ(get(alice, site.ims_as).status, 404U);
}

TEST_F(Subscriptions, TheUesListIsThatOfAnApplication) {
  put(document);
  const auto all = test::parse(get(std::string(alice) + "/avatars", site.ims_as));
  EXPECT_EQ(all.at("avatars").as_array().size(), 2U);
  const auto some = test::parse(get(std::string(alice) + "/avatars?app=xr-meeting", site.ims_as));
  ASSERT_EQ(some.at("avatars").as_array().size(), 1U);
  EXPECT_EQ(some.at("avatars").as_array()[0].at("id"), "avatar-1");
  const auto none = test::parse(get(std::string(alice) + "/avatars?app=other", site.ims_as));
  EXPECT_TRUE(none.at("avatars").as_array().empty());
  EXPECT_EQ(reason_of(get(std::string(alice) + "/avatars?app=a b", site.ims_as)), "application-id-invalid");
}

TEST_F(Subscriptions, OnlyAnOperatorWrites) {
  EXPECT_EQ(site.call(Method::put, alice, document, &site.ims_as).status, 403U);
  EXPECT_EQ(site.call(Method::del, alice, "", &site.ims_as).status, 403U);
  EXPECT_EQ(site.call(Method::put, alice, document, nullptr).status, 401U);
  EXPECT_TRUE(site.subscriptions.rows.empty());
}

TEST_F(Subscriptions, AnImsAsReadsWithinItsScope) {
  site.subscribe("sip:bob@b.example", "avatar-1", "game");
  site.subscribe("tel:+17035550001", "avatar-1", "game");
  EXPECT_EQ(reason_of(get("/subscriptions/v1/sip:bob@b.example", site.ims_as)), "client-out-of-scope");
  EXPECT_EQ(reason_of(get("/subscriptions/v1/sip:bob@b.example/avatars", site.ims_as)), "client-out-of-scope");
  EXPECT_EQ(get("/subscriptions/v1/tel:+1-703-555-0001", site.ims_as).status, 200U);
  EXPECT_EQ(get("/subscriptions/v1/sip:bob@b.example", site.operator_).status, 200U);
}

TEST_F(Subscriptions, BadDocumentsAreRefused) {
  const std::pair<std::string, const char*> cases[] = {
      {"{}", "member-missing"},
      {"{", "json-malformed"},
      {R"({"avatars":{}})", "member-type"},
      {R"({"avatars":[],"more":1})", "member-unknown"},
      {R"({"avatars":[],"impu":"sip:bob@a.example"})", "impu-mismatch"},
      {R"({"avatars":[{"id":"a"}]})", "member-missing"},
      {R"({"avatars":[{"id":"a b","applications":["x"]}]})", "avatar-id-invalid"},
      {R"({"avatars":[{"id":"a","applications":[""]}]})", "application-id-invalid"},
      {R"({"avatars":[{"id":"a","applications":[]}]})", "application-count"},
      {R"({"avatars":[{"id":"a","applications":["x"]},{"id":"a","applications":["y"]}]})", "avatar-duplicate"},
  };
  for (const auto& [body, reason] : cases) {
    const auto response = put(body);
    EXPECT_GE(response.status, 400U);
    EXPECT_EQ(reason_of(response), reason) << body;
  }
  json::array many;
  for (int i = 0; i < 257; ++i) many.push_back({{"id", "a" + std::to_string(i)}, {"applications", {"x"}}});
  EXPECT_EQ(reason_of(put(json::serialize(json::object{{"avatars", many}}))), "avatar-count");
  EXPECT_EQ(reason_of(put(document, "/subscriptions/v1/nobody")), "impu-invalid");
  EXPECT_TRUE(site.subscriptions.rows.empty());
}

class Calls : public testing::Test {
 protected:
  http::Response put(const std::string& body, const std::string& id = test::origid) {
    return site.call(Method::put, "/calls/v1/" + id, body, &site.ims_as);
  }
  test::Site site;
};

TEST_F(Calls, KeepTheStateThatTheImsAsTells) {
  const std::pair<const char*, store::CallState> cases[] = {{"accepted", store::CallState::accepted},
                                                            {"avatar-rejected", store::CallState::avatar_rejected},
                                                            {"ended", store::CallState::ended}};
  for (const auto& [text, state] : cases) {
    EXPECT_EQ(put(std::string(R"({"state":")") + text + "\"}").status, 204U);
    const auto& row = site.calls.rows.at(test::origid);
    EXPECT_EQ(row.state, state);
    EXPECT_EQ(row.client, "ims-a");
    EXPECT_EQ(row.changed_at, test::test_now);
  }
  const auto leaves = site.leaves();
  ASSERT_EQ(leaves.size(), 3U);
  const auto text = json::serialize(leaves[1]);
  EXPECT_NE(text.find("call.state"), std::string::npos) << text;
  EXPECT_NE(text.find("avatar-rejected"), std::string::npos) << text;
}

TEST_F(Calls, AreNamedAsInPassports) {
  EXPECT_EQ(put(R"({"state":"ended"})", "123E4567-E89B-12D3-A456-426655440000").status, 204U);
  EXPECT_TRUE(site.calls.rows.contains(test::origid));
}

TEST_F(Calls, RefuseWhatIsNoState) {
  EXPECT_EQ(reason_of(put(R"({"state":"paused"})")), "call-state-invalid");
  EXPECT_EQ(reason_of(put("{}")), "member-missing");
  EXPECT_EQ(reason_of(put(R"({"state":"ended","x":1})")), "member-unknown");
  EXPECT_EQ(reason_of(put(R"({"state":"ended"})", "call-1")), "origid-invalid");
  EXPECT_TRUE(site.calls.rows.empty());
}

TEST_F(Calls, PassOnWhatTheStoreRefuses) {
  site.calls.failure = errors::make(Category::conflict, "call-ended", "the call has ended");
  EXPECT_EQ(put(R"({"state":"accepted"})").status, 409U);
  site.calls.failure = errors::make(Category::forbidden, "call-other-client", "another client's call");
  EXPECT_EQ(put(R"({"state":"accepted"})").status, 403U);
  site.calls.failure = errors::make(Category::unavailable, "store-unavailable", "");
  EXPECT_EQ(put(R"({"state":"accepted"})").status, 503U);
  const auto leaves = site.leaves();
  ASSERT_EQ(leaves.size(), 3U);
  EXPECT_NE(json::serialize(leaves[0]).find("refused"), std::string::npos);
  EXPECT_NE(json::serialize(leaves[1]).find("refused"), std::string::npos);
  EXPECT_NE(json::serialize(leaves[2]).find("discarded"), std::string::npos);
}

TEST_F(Calls, OnlyAnImsAsTells) {
  EXPECT_EQ(
      site.call(Method::put, std::string("/calls/v1/") + test::origid, R"({"state":"ended"})", &site.operator_).status,
      403U);
  EXPECT_TRUE(site.calls.rows.empty());
}

}  // namespace
}  // namespace avseal
