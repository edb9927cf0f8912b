#include "tokend/protocol.hpp"

#include <cstring>

#include <gtest/gtest.h>

namespace avseal::tokend {
namespace {

Bytes bytes_of(std::string_view text) {
  return {as_bytes(text).begin(), as_bytes(text).end()};
}

// The body of the one frame in `frame`.
ByteView body_of(const Bytes& frame) {
  return ByteView(frame).subspan(4);
}

Bytes request_frame(FrameType type, std::string_view key, ByteView input, ByteView aad = {}) {
  Bytes out;
  EXPECT_TRUE(append_request(out, type, 7, key, input, aad));
  return out;
}

TEST(Protocol, ClientHelloHasTheDocumentedBytes) {
  Bytes out;
  append_client_hello(out, {});
  EXPECT_EQ(out, (Bytes{0, 0, 0, 3, 0x01, 0, 3}));
  EXPECT_EQ(decode_client_hello(body_of(out))->version, 3);
}

TEST(Protocol, RequestHasTheDocumentedBytes) {
  const Bytes out = request_frame(FrameType::unwrap, "k", Bytes{0xaa, 0xbb}, Bytes{0xcc});
  EXPECT_EQ(out, (Bytes{0, 0, 0, 20, 0x12, 0, 0, 0, 0, 0, 0, 0, 7, 1, 'k', 0, 0, 0, 2, 0xaa, 0xbb, 0, 1, 0xcc}));
}

TEST(Protocol, ServerHelloComesBackAsItWas) {
  const ServerHello hello{3,
                          "9f8b",
                          {"t", "0017", "maker", "model", "2.6"},
                          8,
                          {{"a", "avatar-id", "ES256", {1, 2, 3}, 1ULL << 40}, {"k", "dac-kek", "A256GCM", {}}}};
  Bytes out;
  ASSERT_TRUE(append_server_hello(out, hello));
  const auto decoded = decode_server_hello(body_of(out));
  ASSERT_TRUE(decoded);
  EXPECT_EQ(decoded->instance, "9f8b");
  EXPECT_EQ(decoded->token, hello.token);
  EXPECT_EQ(decoded->sessions, 8U);
  EXPECT_EQ(decoded->keys, hello.keys);
}

TEST(Protocol, ServerHelloHasTheDocumentedBytes) {
  Bytes out;
  ASSERT_TRUE(append_server_hello(out, {3, "i", {"t", {}, {}, {}, {}}, 1, {{"a", "k", "E", {7}, 258}}}));
  EXPECT_EQ(out, (Bytes{0, 0,   0, 30,  0x02, 0,   3, 1, 'i', 1, 't', 0, 0, 0, 0, 1, 1,
                        1, 'a', 1, 'k', 1,    'E', 0, 1, 7,   0, 0,   0, 0, 0, 0, 1, 2}));
}

TEST(Protocol, ServerHelloOfAnotherVersionIsToldByItsVersion) {
  const auto hello = decode_server_hello(Bytes{0x02, 0, 2, 1, 'i', 0xff});
  ASSERT_TRUE(hello);
  EXPECT_EQ(hello->version, 2);
  EXPECT_FALSE(decode_server_hello(Bytes{0x02, 0, 3, 1, 'i', 0xff}));
  EXPECT_FALSE(decode_server_hello(Bytes{0x02, 0}));
}

TEST(Protocol, ServerHelloRefusesTooManyKeysAndBadNames) {
  Bytes out{42};
  EXPECT_FALSE(append_server_hello(out, {3, "i", {}, 1, std::vector<KeyInfo>(max_keys + 1, {"n", "k", "a", {}})}));
  EXPECT_FALSE(append_server_hello(out, {3, "i", {}, 1, {{"a\nb", "k", "a", {}}}}));
  EXPECT_FALSE(append_server_hello(out, {3, "i", {}, 1, {{"", "k", "a", {}}}}));
  EXPECT_FALSE(append_server_hello(out, {3, "i", {std::string(256, 'x'), {}, {}, {}, {}}, 1, {}}));
  EXPECT_FALSE(append_server_hello(out, {3, "i", {{}, "a\x01", {}, {}, {}}, 1, {}}));
  EXPECT_EQ(out, Bytes{42});
}

TEST(Protocol, RequestsComeBackAsTheyWere) {
  const Bytes frame = request_frame(FrameType::wrap, "kek", Bytes(32, 5), bytes_of("avatar"));
  const auto request = decode_request(body_of(frame));
  ASSERT_TRUE(request);
  EXPECT_EQ(request->operation, FrameType::wrap);
  EXPECT_EQ(request->id, 7U);
  EXPECT_EQ(request->key, "kek");
  EXPECT_EQ(request->input, Bytes(32, 5));
  EXPECT_EQ(request->aad, bytes_of("avatar"));
}

TEST(Protocol, RequestsOutsideTheirBoundsAreNotBuilt) {
  Bytes out{42};
  const Bytes one{1};
  EXPECT_FALSE(append_request(out, FrameType::sign, 1, "", one));
  EXPECT_FALSE(append_request(out, FrameType::sign, 1, std::string(256, 'k'), one));
  EXPECT_FALSE(append_request(out, FrameType::sign, 1, "k", {}));
  EXPECT_FALSE(append_request(out, FrameType::sign, 1, "k", one, one));
  EXPECT_FALSE(append_request(out, FrameType::sign, 1, "k", Bytes(max_frame, 1)));
  EXPECT_FALSE(append_request(out, FrameType::wrap, 1, "k", Bytes(15, 1)));
  EXPECT_FALSE(append_request(out, FrameType::wrap, 1, "k", Bytes(65, 1)));
  EXPECT_FALSE(append_request(out, FrameType::unwrap, 1, "k", {}));
  EXPECT_FALSE(append_request(out, FrameType::unwrap, 1, "k", one, Bytes(max_aad + 1, 1)));
  EXPECT_FALSE(append_request(out, FrameType::probe, 1, "k", one));
  EXPECT_FALSE(append_request(out, FrameType::result, 1, "k", one));
  EXPECT_EQ(out, Bytes{42});
}

TEST(Protocol, TheLargestRequestFits) {
  const std::size_t header = 1 + 8 + 1 + 1 + 4 + 2;
  const Bytes frame = request_frame(FrameType::sign, "k", Bytes(max_frame - header, 1));
  EXPECT_EQ(frame.size(), max_frame + 4);
  EXPECT_TRUE(decode_request(body_of(frame)));
}

TEST(Protocol, EveryTruncationAndTrailingByteIsRefused) {
  Bytes hello;
  ASSERT_TRUE(append_server_hello(hello, {3, "i", {}, 1, {{"a", "avatar-id", "ES256", {1, 2}}}}));
  Bytes error;
  append_reply(error, {3, 0, errors::make(Category::forbidden, "not-of-key-kind", "no")});
  Bytes result;
  append_reply(result, {3, 9, Bytes{1, 2, 3}});
  for (const Bytes& frame : {hello, error, result, request_frame(FrameType::sign, "k", Bytes{1, 2})}) {
    for (std::size_t size = 0; size < body_of(frame).size(); ++size) {
      const ByteView cut = body_of(frame).first(size);
      EXPECT_FALSE(decode_server_hello(cut));
      EXPECT_FALSE(decode_reply(cut));
      EXPECT_FALSE(decode_request(cut));
    }
    Bytes longer(body_of(frame).begin(), body_of(frame).end());
    longer.push_back(0);
    EXPECT_FALSE(decode_server_hello(longer));
    EXPECT_FALSE(decode_reply(longer));
    EXPECT_FALSE(decode_request(longer));
  }
}

TEST(Protocol, RepliesComeBackAsTheyWere) {
  Bytes out;
  append_reply(out, {std::uint64_t{1} << 40, 12, Bytes(64, 9), 0, 150, 70000, 3});
  auto reply = decode_reply(body_of(out));
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->id, std::uint64_t{1} << 40);
  EXPECT_EQ(reply->sequence, 12U);
  EXPECT_EQ(*reply->value, Bytes(64, 9));
  EXPECT_EQ(reply->queue_us, 150U);
  EXPECT_EQ(reply->hsm_us, 70000U);
  EXPECT_EQ(reply->recoveries, 3U);

  out.clear();
  append_reply(out, {5, 0, errors::make(Category::too_many_requests, "rate-exceeded", "wait"), 0x80000001});
  reply = decode_reply(body_of(out));
  ASSERT_TRUE(reply);
  ASSERT_FALSE(reply->value);
  EXPECT_EQ(reply->value.error().category, Category::too_many_requests);
  EXPECT_EQ(reply->value.error().reason, "rate-exceeded");
  EXPECT_EQ(reply->value.error().detail, "wait");
  EXPECT_EQ(reply->ckr, 0x80000001U);
}

TEST(Protocol, AnUnknownReasonReadsAsHsmError) {
  Bytes out;
  append_reply(out, {5, 0, errors::make(Category::unavailable, "made-up", "C_Sign: CKR_DEVICE_ERROR\nsecond line")});
  const auto reply = decode_reply(body_of(out));
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->value.error().reason, "hsm-error");
  EXPECT_EQ(reply->value.error().detail, "C_Sign: CKR_DEVICE_ERROR second line");
}

TEST(Protocol, ALongDetailIsCut) {
  Bytes out;
  append_reply(out, {5, 0, errors::make(Category::unavailable, "hsm-error", std::string(5000, 'x'))});
  EXPECT_EQ(decode_reply(body_of(out))->value.error().detail.size(), max_detail);
}

TEST(Protocol, AnUnknownCategoryOrTypeIsRefused) {
  Bytes out;
  append_reply(out, {5, 0, errors::make(Category::internal, "hsm-error", "x")});
  out[4 + 9] = 200;
  EXPECT_FALSE(decode_reply(body_of(out)));
  EXPECT_FALSE(frame_type(Bytes{0x7f}));
  EXPECT_FALSE(frame_type({}));
}

TEST(FrameReader, CutsAStreamThatArrivesByteByByte) {
  Bytes stream = request_frame(FrameType::sign, "k", Bytes{1});
  const Bytes second = request_frame(FrameType::sign, "l", Bytes{2});
  stream.insert(stream.end(), second.begin(), second.end());
  FrameReader reader;
  std::vector<std::string> keys;
  for (const std::uint8_t byte : stream) {
    reader.prepare()[0] = byte;
    reader.commit(1);
    auto body = reader.next();
    ASSERT_TRUE(body);
    if (*body) keys.push_back(decode_request(**body)->key);
  }
  EXPECT_EQ(keys, (std::vector<std::string>{"k", "l"}));
}

TEST(FrameReader, RefusesEmptyAndOversizedFrames) {
  for (const Bytes& length : {Bytes{0, 0, 0, 0}, Bytes{0, 2, 0, 1}, Bytes{0xff, 0xff, 0xff, 0xff}}) {
    FrameReader reader;
    std::memcpy(reader.prepare().data(), length.data(), length.size());
    reader.commit(length.size());
    const auto body = reader.next();
    ASSERT_FALSE(body);
    EXPECT_EQ(body.error().reason, "frame-malformed");
  }
}

TEST(FrameReader, HasRoomForTheLargestFrame) {
  const Bytes frame = request_frame(FrameType::sign, "k", Bytes(max_frame - 17, 1));
  FrameReader reader;
  for (std::size_t sent = 0; sent < frame.size();) {
    const auto room = reader.prepare();
    ASSERT_FALSE(room.empty());
    const std::size_t size = std::min(room.size(), std::min<std::size_t>(frame.size() - sent, 50000));
    std::memcpy(room.data(), frame.data() + sent, size);
    reader.commit(size);
    sent += size;
    const auto body = reader.next();
    ASSERT_TRUE(body);
    EXPECT_EQ(body->has_value(), sent == frame.size());
  }
}

}  // namespace
}  // namespace avseal::tokend
