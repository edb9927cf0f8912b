#include "ledger_http/page.hpp"

#include "support.hpp"

namespace avseal::ledger_http::test {
namespace {

Page page() {
  Page out;
  out.leaves = {leaf(3, 1'795'647'600'000), leaf(4, 1'795'647'600'001, "refusal", "=cmd")};
  out.next = 5;
  return out;
}

TEST(Page, AsJsonHasTheLeavesAsTheyAre) {
  const auto response = as_json({{}, {node + "/2026", 9, {}}, {}, false}, page(), false);
  EXPECT_EQ(response.body, "{\"events\":[" + page().leaves[0] + "," + page().leaves[1] +
                               "],\"next\":5,\"origin\":\"test.example/node-1/2026\",\"size\":9}");
  const auto unknown = as_json({{}, {node + "/2026", 9, {}}, {}, false}, {}, true);
  EXPECT_EQ(unknown.body, R"({"events":[],"origin":"test.example/node-1/2026","size":9,"subject":"unknown"})");
}

TEST(Page, AsCsvHasARowForEach) {
  const auto response = as_csv(page());
  ASSERT_TRUE(response) << response.error().detail;
  EXPECT_EQ(response->body,
            "index,time,event,outcome,reason,client,actor,request,keys,details\r\n"
            "3,2026-11-25T23:00:00.000Z,\"sign.avatar-id\",\"released\",\"\",\"ims-as\",\"x5t-ims-as\",\"r-3\","
            "\"avatar-id\",\"\"\r\n"
            "4,2026-11-25T23:00:00.001Z,\"refusal\",\"released\",\"\",\"'=cmd\",\"x5t-=cmd\",\"r-4\",\"avatar-id\","
            "\"\"\r\n");
  const auto next = std::find(response->headers.begin(), response->headers.end(),
                              std::pair<std::string, std::string>("avseal-ledger-next", "5"));
  EXPECT_NE(next, response->headers.end());
}

TEST(Log, CoversWhatItsCheckpointCovers) {
  const auto covers = [](std::uint64_t size, const std::string& path) {
    return Log{{}, {node, size, {}}, {}, false}.covers(tlog::parse_tile_path(path).value());
  };
  EXPECT_FALSE(covers(0, "tile/0/000"));
  EXPECT_FALSE(covers(0, "tile/0/000.p/1"));
  EXPECT_TRUE(covers(5, "tile/0/000.p/5"));
  EXPECT_TRUE(covers(5, "tile/entries/000.p/4"));
  EXPECT_FALSE(covers(5, "tile/entries/000.p/6"));
  EXPECT_FALSE(covers(255, "tile/0/000"));
  EXPECT_FALSE(covers(255, "tile/1/000.p/1"));
  EXPECT_TRUE(covers(256, "tile/0/000"));
  EXPECT_TRUE(covers(256, "tile/0/000.p/7"));
  EXPECT_TRUE(covers(256, "tile/1/000.p/1"));
  EXPECT_FALSE(covers(256, "tile/0/001.p/1"));
  EXPECT_TRUE(covers(70000, "tile/entries/273.p/112"));
  EXPECT_FALSE(covers(70000, "tile/entries/273"));
  EXPECT_TRUE(covers(70000, "tile/2/000.p/1"));
  EXPECT_FALSE(covers(70000, "tile/3/000"));
  EXPECT_FALSE(covers(70000, "tile/8/000.p/1"));
  EXPECT_FALSE(covers(70000, "tile/63/000"));
}

}  // namespace
}  // namespace avseal::ledger_http::test
