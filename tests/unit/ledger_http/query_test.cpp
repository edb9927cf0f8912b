#include "ledger_http/query.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "audit/csv.hpp"
#include "tokens/json.hpp"

namespace avseal::ledger_http {
namespace {

TEST(UtcTime, IsReadAsItIsWritten) {
  EXPECT_EQ(parse_utc_ms("1970-01-01T00:00:00Z"), 0);
  EXPECT_EQ(parse_utc_ms("2026-11-25T23:00:00Z"), 1'795'647'600'000);
  EXPECT_EQ(parse_utc_ms("2024-02-29T23:59:59.999Z"), 1'709'251'199'999);
  EXPECT_EQ(audit::utc_text(1'709'251'199'999), "2024-02-29T23:59:59.999Z");
  EXPECT_EQ(audit::utc_text(0), "1970-01-01T00:00:00.000Z");
  EXPECT_EQ(audit::utc_text(*parse_utc_ms("9999-12-31T23:59:59Z")), "9999-12-31T23:59:59.000Z");
}

TEST(UtcTime, IsStrict) {
  for (const auto* text : {"",
                           "2026-11-25",
                           "2026-11-25T23:00:00",
                           "2026-11-25T23:00:00+00:00",
                           "2026-11-25 23:00:00Z",
                           "2026-11-25T23:00:00z",
                           "2026-11-25T24:00:00Z",
                           "2026-11-25T23:60:00Z",
                           "2026-11-25T23:00:60Z",
                           "2026-13-01T00:00:00Z",
                           "2026-00-01T00:00:00Z",
                           "2026-02-29T00:00:00Z",
                           "2026-11-31T00:00:00Z",
                           "1969-12-31T23:59:59Z",
                           "2026-11-25T23:00:00.00Z",
                           "2026-11-25T23:00:00.0000Z",
                           "2026-11-25T23:00:00,000Z",
                           "2026-11-25T23:00:0xZ",
                           "-026-11-25T23:00:00Z",
                           "1763930000000"}) {
    EXPECT_EQ(parse_utc_ms(text), std::nullopt) << text;
  }
}

TEST(EventQuery, TakesEveryMember) {
  const auto query = EventQuery::parse({{"time-range-start", "2026-11-25T23:00:00Z"},
                                        {"time-range-end", "2026-11-25T23:00:00.001Z"},
                                        {"event", "sign.avatar-id"},
                                        {"actor", "ims-as"},
                                        {"key", "avatar-id"},
                                        {"outcome", "released"},
                                        {"reason", "worker-lost"},
                                        {"subject", "SIP:alice@A.Example;x=y"},
                                        {"log", "2025"},
                                        {"from", "7"},
                                        {"limit", "1000"},
                                        {"format", "csv"}});
  ASSERT_TRUE(query) << query.error().detail;
  EXPECT_EQ(*query->end - *query->start, 1);
  EXPECT_EQ(query->event + query->actor + query->key + query->outcome + query->reason + query->log,
            "sign.avatar-idims-asavatar-idreleasedworker-lost2025");
  EXPECT_EQ(query->subject->canonical(), "sip:alice@a.example");
  EXPECT_EQ(query->from, 7U);
  EXPECT_EQ(query->limit, 1000U);
  EXPECT_TRUE(query->csv);
  EXPECT_EQ(tokens::canonical_json(query->describe()),
            R"({"actor":"ims-as","event":"sign.avatar-id","from":7,"key":"avatar-id","limit":1000,"log":"2025",)"
            R"("outcome":"released","reason":"worker-lost","time-range-end":1795647600001,)"
            R"("time-range-start":1795647600000})");
}

TEST(EventQuery, NeedsNoMember) {
  const auto query = EventQuery::parse({});
  ASSERT_TRUE(query);
  EXPECT_EQ(query->limit, 100U);
  EXPECT_FALSE(query->csv);
  EXPECT_EQ(tokens::canonical_json(query->describe()), R"({"from":0,"limit":100})");
}

TEST(EventQuery, RefusesAllElse) {
  const std::vector<std::pair<std::string, std::string>> members = {{"x", "1"},
                                                                    {"Event", "refusal"},
                                                                    {"event", ""},
                                                                    {"event", "a b"},
                                                                    {"event", "a\"b"},
                                                                    {"event", "a\\b"},
                                                                    {"actor", std::string(256, 'a')},
                                                                    {"outcome", "good"},
                                                                    {"from", "-1"},
                                                                    {"from", "01"},
                                                                    {"from", "1e3"},
                                                                    {"from", ""},
                                                                    {"limit", "0"},
                                                                    {"limit", "1001"},
                                                                    {"format", "xml"},
                                                                    {"format", ""},
                                                                    {"subject", "alice"},
                                                                    {"subject", ""},
                                                                    {"time-range-start", "yesterday"},
                                                                    {"time-range-end", ""}};
  for (const auto& [name, value] : members) {
    const auto query = EventQuery::parse({{name, value}});
    ASSERT_FALSE(query) << name << '=' << value;
    EXPECT_EQ(query.error().param, "query " + name);
    EXPECT_EQ(query.error().category, Category::bad_request);
  }
  EXPECT_FALSE(
      EventQuery::parse({{"time-range-start", "2026-11-25T23:00:00Z"}, {"time-range-end", "2026-11-25T23:00:00Z"}}));
}

}  // namespace
}  // namespace avseal::ledger_http
