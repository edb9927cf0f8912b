// Content far larger than what may be held in memory.
#include <malloc.h>

#include "site.hpp"

#ifdef __SANITIZE_ADDRESS__
extern "C" std::size_t __sanitizer_get_current_allocated_bytes();  // of the sanitizer's runtime
#endif

namespace avseal::dac {
namespace {

std::size_t live_heap() {
#ifdef __SANITIZE_ADDRESS__
  return __sanitizer_get_current_allocated_bytes();
#else
  return mallinfo2().uordblks + mallinfo2().hblkhd;
#endif
}

constexpr std::size_t piece_size = 256 * 1024;
constexpr std::size_t piece_count = 400;  // 100 MiB
constexpr std::size_t allowance = 8 * 1024 * 1024;

// The pieces of one long body, made as they are read.
class LongBody final : public http::BodyReader {
 public:
  boost::asio::awaitable<Result<Bytes>> read() override {
    highest = std::max(highest, live_heap());
    if (made_ == piece_count) co_return Bytes{};
    co_return test::pattern(piece_size, static_cast<unsigned>(made_++ % 4));
  }
  std::size_t highest = 0;

 private:
  std::size_t made_ = 0;
};

TEST(DacStream, AHundredMebibytesPassWithoutBeingHeld) {
  test::DacSite site;
  tokens::Sha256Stream digest;
  for (std::size_t i = 0; i < piece_count; ++i) digest.update(test::pattern(piece_size, static_cast<unsigned>(i % 4)));
  const auto expected = digest.finish();
  const auto text = tokens::base64_encode(expected);
  const auto before = live_heap();

  LongBody body;
  auto upload = site.node.request(http::Method::put, std::string(test::avatar_path) + "/content", &site.feeder);
  upload.headers = {{"content-digest", "sha-256=:" + text + ":"}, {"content-type", "model/gltf-binary"}};
  upload.stream = &body;
  const auto staged = site.node.call(upload);
  ASSERT_EQ(staged.status, 201U) << staged.body;
  EXPECT_LT(body.highest, before + allowance);

  const boost::json::object publication{{"owner", "sip:alice@a.example"}, {"contentDigest", "sha-256-" + text}};
  ASSERT_EQ(
      site.node.json(http::Method::put, test::avatar_path, &site.feeder, publication, {{"if-none-match", "*"}}).status,
      201U);

  auto response = site.get("/content", site.token(site.claims()));
  ASSERT_EQ(response.status, 200U) << response.body;
  ASSERT_EQ(response.stream_size, piece_size * piece_count);
  std::size_t highest = 0;
  std::size_t received = 0;
  while (true) {
    auto next = response.stream->next();
    const auto piece = test::run(site.node.context, std::move(next)).value();
    if (piece.empty()) break;
    ASSERT_LE(piece.size(), segment_size);
    received += piece.size();
    digest.update(piece);
    highest = std::max(highest, live_heap());
  }
  EXPECT_EQ(received, piece_size * piece_count);
  EXPECT_EQ(digest.finish(), expected);
  EXPECT_LT(highest, before + allowance);
}

}  // namespace
}  // namespace avseal::dac
