#include "dac/role.hpp"

#include "site.hpp"
#include "tokens/jws.hpp"

namespace avseal::dac {
namespace {

using http::Method;
using test::avatar_path;
using test::header_of;
using test::pattern;
using test::reason_of;

class DacRole : public ::testing::Test, protected test::DacSite {
 protected:
  http::Response withdraw(http::Headers headers) {
    auto request = node.request(Method::del, avatar_path, as);
    request.headers = std::move(headers);
    return node.call(request);
  }
  http::Response publish_body(std::string body, http::Headers headers = {{"if-none-match", "*"}}) {
    auto request = node.request(Method::put, avatar_path, &feeder);
    request.headers = std::move(headers);
    request.headers.emplace_back("content-type", "application/json");
    request.body = std::move(body);
    return node.call(request);
  }
};

TEST_F(DacRole, StagesPublishesAndServes) {
  const auto content = pattern(200'000);
  const auto staged = put_content(content);
  ASSERT_EQ(staged.status, 201U) << staged.body;
  EXPECT_EQ(put_content(content).status, 200U);
  EXPECT_EQ(files().size(), 1U);
  EXPECT_EQ(get("/content", token(claims())).status, 404U);

  const boost::json::object body{{"owner", "SIP:alice@A.example"},
                                 {"contentDigest", test::digest_member(content)},
                                 {"contentType", "model/gltf+json"},
                                 {"members", {{"label", "Alice"}, {"heightMm", 1700}}}};
  const auto published = node.json(Method::put, avatar_path, &feeder, body, {{"if-none-match", "*"}});
  ASSERT_EQ(published.status, 201U) << published.body;
  EXPECT_EQ(header_of(published, "etag"), "\"1\"");

  auto response = get("/content", token(claims()));
  ASSERT_EQ(response.status, 200U) << response.body;
  EXPECT_EQ(response.stream_size, content.size());
  EXPECT_EQ(header_of(response, "content-digest"), test::digest_header(content));
  EXPECT_EQ(header_of(response, "content-type"), "model/gltf+json");
  EXPECT_EQ(header_of(response, "accept-ranges"), "bytes");
  EXPECT_EQ(header_of(response, "etag"), "\"1\"");
  EXPECT_EQ(read(response).value(), content);

  const auto metadata = get("/metadata", token(claims()));
  ASSERT_EQ(metadata.status, 200U) << metadata.body;
  EXPECT_EQ(header_of(metadata, "content-type"), "application/jwt");
  const auto parsed = tokens::parse_avatar_metadata(metadata.body).value();
  const auto anchors = tokens::TrustAnchors::create(metadata_ca.certificate.pem()).value();
  EXPECT_TRUE(tokens::verify_metadata(parsed, anchors, test::avatar_id, 1, node.now));
  EXPECT_TRUE(tokens::check_content(parsed.metadata, tokens::sha256(content), 200'000));
  EXPECT_EQ(parsed.metadata.owner.canonical(), "sip:alice@a.example");
  EXPECT_EQ(parsed.metadata.members.at("label").as_string(), "Alice");
  EXPECT_EQ(parsed.metadata.iss, test::dac_id);
}

TEST_F(DacRole, EmptyContentAndFullSegments) {
  std::int64_t version = 0;
  for (const std::size_t size : {0UL, segment_size, 3 * segment_size}) {
    const auto content = pattern(size, 7);
    publish_over(content, version++);
    auto response = get("/content", token(claims()));
    ASSERT_EQ(response.status, 200U) << response.body;
    EXPECT_EQ(response.stream_size, size);
    EXPECT_EQ(read(response).value(), content);
  }
  EXPECT_EQ(files().size(), 1U);  // replaced content is deleted
}

TEST_F(DacRole, Preconditions) {
  const auto content = pattern(10);
  ASSERT_EQ(put_content(content).status, 201U);
  EXPECT_EQ(publish(content, {}).status, 428U);
  EXPECT_EQ(publish(content, {{"if-match", "\"1\""}}).status, 412U);
  EXPECT_EQ(publish(content, {{"if-none-match", "*"}}).status, 201U);
  EXPECT_EQ(publish(content, {{"if-none-match", "*"}}).status, 412U);
  EXPECT_EQ(publish(content, {{"if-match", "\"2\""}}).status, 412U);
  for (const char* bad :
       {"1", "\"01\"", "\"0\"", "\"-1\"", "W/\"1\"", "*", "\"\"", "\"1\", \"2\"", "\"99999999999999999999\""})
    EXPECT_EQ(publish(content, {{"if-match", bad}}).status, 400U) << bad;
  EXPECT_EQ(publish(content, {{"if-none-match", "\"1\""}}).status, 400U);
  EXPECT_EQ(publish(content, {{"if-match", "\"1\""}, {"if-none-match", "*"}}).status, 400U);
  // Content that is published already need not be uploaded again for new metadata.
  const auto next = publish(content, {{"if-match", "\"1\""}});
  EXPECT_EQ(next.status, 200U) << next.body;
  EXPECT_EQ(header_of(next, "etag"), "\"2\"");
  auto response = get("/content", token(claims()));
  ASSERT_EQ(response.status, 200U) << response.body;
  EXPECT_EQ(read(response).value(), content);
}

TEST_F(DacRole, WithdrawnIsGoneAndVersionsGoOn) {
  publish_over(pattern(10), 0);
  EXPECT_EQ(withdraw({}).status, 428U);
  EXPECT_EQ(withdraw({{"if-none-match", "*"}}).status, 400U);
  EXPECT_EQ(withdraw({{"if-match", "\"2\""}}).status, 412U);
  as = &other_feeder;
  EXPECT_EQ(withdraw({{"if-match", "\"1\""}}).status, 403U);
  as = &feeder;
  EXPECT_EQ(withdraw({{"if-match", "\"1\""}}).status, 204U);
  EXPECT_EQ(withdraw({{"if-match", "\"1\""}}).status, 404U);
  EXPECT_TRUE(files().empty());
  for (const char* what : {"/content", "/metadata"}) {
    const auto gone = get(what, token(claims()));
    EXPECT_EQ(gone.status, 404U);
    EXPECT_EQ(reason_of(gone), "avatar-withdrawn");
  }
  ASSERT_EQ(put_content(pattern(20)).status, 201U);
  const auto again = publish(pattern(20), {{"if-none-match", "*"}});
  EXPECT_EQ(again.status, 201U) << again.body;
  EXPECT_EQ(header_of(again, "etag"), "\"2\"");
}

TEST_F(DacRole, FeedersKeepToTheirOwners) {
  const auto content = pattern(10);
  ASSERT_EQ(put_content(content).status, 201U);
  EXPECT_EQ(publish(content, {{"if-none-match", "*"}}, "sip:bob@b.example").status, 403U);
  EXPECT_EQ(publish(content, {{"if-none-match", "*"}}).status, 201U);
  EXPECT_EQ(reason_of(publish(content, {{"if-match", "\"1\""}}, "sip:carol@a.example")), "avatar-other-owner");
  as = &other_feeder;
  EXPECT_EQ(put_content(pattern(11)).status, 403U);
  EXPECT_EQ(reason_of(publish(content, {{"if-match", "\"1\""}}, "sip:bob@b.example")), "avatar-other-owner");
  as = &xr_as;
  EXPECT_EQ(put_content(pattern(11)).status, 403U);
  as = nullptr;
  EXPECT_EQ(put_content(pattern(11)).status, 401U);
}

TEST_F(DacRole, UploadsThatAreRefusedLeaveNothing) {
  const auto content = pattern(100'000);
  EXPECT_EQ(reason_of(put_content(content, avatar_path, {{"content-digest", test::digest_header(pattern(5))}})),
            "content-digest-mismatch");
  for (const char* bad : {"sha-256=abc", "sha-256=:abc:", "sha-512=:AAAA:", "md5", "sha-256", "sha-256=::"})
    EXPECT_EQ(put_content(content, avatar_path, {{"content-digest", bad}}).status, 400U) << bad;
  EXPECT_EQ(put_content(content, avatar_path, {{"content-type", "text/html"}}).status, 415U);
  EXPECT_EQ(put_content(content, "/dac/v1/avatars/with space").status, 400U);
  config.max_content_bytes = 99'999;
  restart();
  EXPECT_EQ(put_content(content).status, 413U);
  config.max_content_bytes = 1 << 30;
  restart();
  node.keyring->failure = errors::make(Category::unavailable, "hsm-unavailable", "no worker");
  EXPECT_EQ(put_content(content).status, 503U);
  node.keyring->failure.reset();
  EXPECT_TRUE(files().empty());

  EXPECT_EQ(put_content(content).status, 201U);
  EXPECT_EQ(reason_of(put_content(content, avatar_path, {{"content-type", "application/octet-stream"}})),
            "content-type-differs");
}

TEST_F(DacRole, RefusesBadPublications) {
  const auto content = pattern(10);
  ASSERT_EQ(put_content(content).status, 201U);
  const auto digest = test::digest_member(content);
  const std::string good = R"({"owner":"sip:alice@a.example","contentDigest":")" + digest + "\"";
  EXPECT_EQ(reason_of(publish_body(good + R"(,"members":{"version":2}})")), "members-invalid");
  EXPECT_EQ(reason_of(publish_body(good + R"(,"members":{"a":[1.5]}})")), "members-invalid");
  EXPECT_EQ(reason_of(publish_body(good + R"(,"members":{"a":18446744073709551615}})")), "members-invalid");
  EXPECT_EQ(reason_of(publish_body(good + R"(,"members":{"a":")" + std::string(5'000, 'x') + "\"}}")),
            "members-invalid");
  EXPECT_EQ(reason_of(publish_body(good + R"(,"contentType":"text/html"})")), "content-type-unknown");
  EXPECT_EQ(reason_of(publish_body(good + R"(,"other":1})")), "member-unknown");
  EXPECT_EQ(reason_of(publish_body(good + R"(,"owner":"sip:alice@a.example"})")), "json-duplicate-member");
  EXPECT_EQ(reason_of(publish_body(R"({"owner":"alice","contentDigest":")" + digest + "\"}")), "impu-invalid");
  EXPECT_EQ(reason_of(publish_body(R"({"owner":"sip:alice@a.example","contentDigest":"sha-256-AAAA"})")),
            "content-digest-malformed");
  EXPECT_EQ(reason_of(publish_body("[]")), reason_of(publish_body("1")));
  EXPECT_EQ(publish_body("{").status, 400U);
  EXPECT_EQ(reason_of(publish(pattern(11), {{"if-none-match", "*"}})), "content-not-staged");
  EXPECT_EQ(get("/metadata", token(claims())).status, 404U);
}

TEST_F(DacRole, Ranges) {
  const auto content = pattern(2 * segment_size + 100);
  publish_over(content, 0);
  const auto last = content.size() - 1;
  const std::vector<std::tuple<std::string, std::size_t, std::size_t>> good = {
      {"bytes=0-0", 0, 0},
      {"bytes=65535-65535", 65'535, 65'535},
      {"bytes=65535-65536", 65'535, 65'536},
      {"bytes=65536-65536", 65'536, 65'536},
      {"bytes=10-140000", 10, last},
      {"bytes=131072-", 131'072, last},
      {"bytes=" + std::to_string(last) + "-", last, last},
      {"bytes=-1", last, last},
      {"bytes=-999999", 0, last},
  };
  for (const auto& [range, first, end] : good) {
    auto response = get("/content", token(claims()), {{"range", range}});
    ASSERT_EQ(response.status, 206U) << range;
    EXPECT_EQ(header_of(response, "content-range"),
              "bytes " + std::to_string(first) + "-" + std::to_string(end) + "/" + std::to_string(content.size()));
    EXPECT_EQ(header_of(response, "content-digest"), "");
    EXPECT_EQ(header_of(response, "repr-digest"), test::digest_header(content));
    EXPECT_EQ(response.stream_size, end - first + 1);
    EXPECT_EQ(read(response).value(), Bytes(content.begin() + static_cast<std::ptrdiff_t>(first),
                                            content.begin() + static_cast<std::ptrdiff_t>(end + 1)))
        << range;
  }
  for (const std::string range : {"bytes=131172-", "bytes=999999-1000000", "bytes=-0"}) {
    const auto response = get("/content", token(claims()), {{"range", range}});
    EXPECT_EQ(response.status, 416U) << range;
    EXPECT_EQ(header_of(response, "content-range"), "bytes */131172");
  }
  for (const char* whole : {"bytes=5-1", "bytes=0-1,3-4", "bytes=", "bytes=-", "bytes=a-b", "lines=0-1", "bytes=1"})
    EXPECT_EQ(get("/content", token(claims()), {{"range", whole}}).status, 200U) << whole;
}

TEST_F(DacRole, AlteredContentNeverLeaves) {
  const auto content = pattern(3 * segment_size);
  publish_over(content, 0);
  const auto file = files().front();
  const auto flip = [&](std::streamoff at) {
    std::fstream stream(file, std::ios::binary | std::ios::in | std::ios::out);
    stream.seekg(at);
    const auto byte = static_cast<char>(stream.get() ^ 1);
    stream.seekp(at);
    stream.put(byte);
  };
  flip(16 + 2 * (65'536 + 16) + 5);
  auto response = get("/content", token(claims()));
  ASSERT_EQ(response.status, 200U);
  Bytes got;
  std::string end;
  while (end.empty()) {
    auto next = response.stream->next();
    auto piece = test::run(node.context, std::move(next));
    if (!piece)
      end = piece.error().reason;
    else if (piece->empty())
      end = "complete";
    else
      got.insert(got.end(), piece->begin(), piece->end());
  }
  EXPECT_EQ(end, "content-altered");
  EXPECT_EQ(got, Bytes(content.begin(), content.begin() + 2 * 65'536));
  auto intact = get("/content", token(claims()), {{"range", "bytes=0-9"}});
  EXPECT_EQ(intact.status, 206U);

  flip(20);
  const auto refused = get("/content", token(claims()));
  EXPECT_EQ(refused.status, 500U);
  EXPECT_EQ(reason_of(refused), "content-altered");
  std::filesystem::remove(file);
  EXPECT_EQ(reason_of(get("/content", token(claims()))), "content-missing");
}

TEST_F(DacRole, TheFileOfAnEarlierVersionIsRefused) {
  const auto content = pattern(1'000);
  publish_over(content, 0);
  const auto old_file = files().front();
  std::filesystem::copy(old_file, node.dir.path() / "kept");
  publish_over(pattern(1'000, 2), 1);
  const auto new_file = files().front();
  ASSERT_NE(old_file, new_file);
  std::filesystem::copy(node.dir.path() / "kept", new_file, std::filesystem::copy_options::overwrite_existing);
  EXPECT_EQ(reason_of(get("/content", token(claims()))), "content-altered");
}

TEST_F(DacRole, ADataKeyOpensItsOwnVersionOnly) {
  const auto content = pattern(1'000);
  publish_over(content, 0);
  auto find = node.store->avatars().find(test::avatar_id);
  auto record = test::run(node.context, std::move(find)).value().value();
  record.version = 2;  // the row of version 1, told to be version 2
  auto publish = node.store->avatars().publish(record, 1);
  ASSERT_TRUE(test::run(node.context, std::move(publish)));
  EXPECT_EQ(get("/content", token(claims())).status, 500U);
}

TEST_F(DacRole, MetadataIsSignedAnewWhenHalfItsLifeIsOver) {
  publish_over(pattern(10), 0);
  const auto first = get("/metadata", token(claims())).body;
  node.now += 1'799;
  EXPECT_EQ(get("/metadata", token(claims())).body, first);
  EXPECT_EQ(node.keyring->signatures, 1);
  node.now += 1;
  const auto second = get("/metadata", token(claims())).body;
  EXPECT_NE(second, first);
  EXPECT_EQ(tokens::parse_avatar_metadata(second)->metadata.exp, node.now + 3'600);
  node.now -= 2;  // a clock that was set back as far as the ledger bears it: nothing from the future
  EXPECT_EQ(tokens::parse_avatar_metadata(get("/metadata", token(claims())).body)->metadata.iat, node.now);
  EXPECT_EQ(node.keyring->signatures, 3);

  publish_over(pattern(20), 1);
  const auto newer = tokens::parse_avatar_metadata(get("/metadata", token(claims())).body).value();
  EXPECT_EQ(newer.metadata.version, 2);
  EXPECT_EQ(newer.metadata.content_size, 20);
}

TEST_F(DacRole, NoMetadataWithoutHsmOrLedger) {
  publish_over(pattern(10), 0);
  node.keyring->failure = errors::make(Category::unavailable, "hsm-unavailable", "no worker");
  EXPECT_EQ(get("/metadata", token(claims())).status, 503U);
  EXPECT_EQ(get("/content", token(claims())).status, 503U);
  node.keyring->failure.reset();
  EXPECT_EQ(get("/metadata", token(claims())).status, 200U);
  node.now += 1'800;
  node.ledger->close();
  EXPECT_EQ(get("/metadata", token(claims())).status, 503U);
  ASSERT_EQ(put_content(pattern(11)).status, 201U);
  EXPECT_EQ(publish(pattern(11), {{"if-match", "\"1\""}}).status, 503U);
  EXPECT_EQ(withdraw({{"if-match", "\"1\""}}).status, 503U);
  EXPECT_EQ(get("/content", token(claims())).status, 200U);
}

TEST_F(DacRole, EveryActHasItsLeaf) {
  publish_over(pattern(10), 0);
  get("/metadata", token(claims()));
  get("/metadata", token(claims()));
  withdraw({{"if-match", "\"1\""}});
  std::vector<std::string> events;
  for (const auto& leaf : node.leaves()) {
    events.emplace_back(leaf.at("event").as_string());
    EXPECT_EQ(boost::json::serialize(leaf).find("alice"), std::string::npos);
  }
  EXPECT_EQ(events, (std::vector<std::string>{"ledger.start", "avatar.publish", "sign.avatar-metadata",
                                              "avatar.withdraw", "ledger.stop"}));
}

TEST_F(DacRole, OrphansAndExpiredUploadsAreDeleted) {
  publish_over(pattern(10), 0);
  ASSERT_EQ(put_content(pattern(20)).status, 201U);
  std::ofstream(config.directory / "0123.sealed") << "orphan";
  std::ofstream(config.directory / "0123.part") << "cut off";
  std::ofstream(config.directory / "README") << "not ours";
  auto clear = remove_orphans(config, node.store->avatars());
  EXPECT_EQ(test::run(node.context, std::move(clear)).value(), 2U);
  EXPECT_EQ(files().size(), 3U);

  auto early = expire_staged(config, node.store->avatars(), node.now + config.staged_max_age);
  EXPECT_EQ(test::run(node.context, std::move(early)).value(), 0U);
  auto late = expire_staged(config, node.store->avatars(), node.now + config.staged_max_age + 1);
  EXPECT_EQ(test::run(node.context, std::move(late)).value(), 1U);
  EXPECT_EQ(files().size(), 2U);
  EXPECT_EQ(get("/content", token(claims())).status, 200U);
}

}  // namespace
}  // namespace avseal::dac
