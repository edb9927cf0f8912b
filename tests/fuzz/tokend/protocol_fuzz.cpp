// Both directions of the worker's socket: whatever decodes must encode to the same bytes.
#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "tokend/protocol.hpp"

using namespace avseal;

namespace {

void require_same(const Bytes& frame, ByteView body) {
  if (!std::ranges::equal(ByteView(frame).subspan(4), body)) std::abort();
}

void decode_all(ByteView body) {
  Bytes frame;
  if (const auto request = tokend::decode_request(body)) {
    if (!tokend::append_request(frame, request->operation, request->id, request->key, request->input, request->aad)) {
      std::abort();
    }
    require_same(frame, body);
  } else if (const auto hello = tokend::decode_server_hello(body)) {
    const bool known = hello->version == tokend::protocol_version;
    if (known && tokend::append_server_hello(frame, *hello)) require_same(frame, body);
  } else if (const auto reply = tokend::decode_reply(body)) {
    tokend::append_reply(frame, *reply);
    if (reply->value) require_same(frame, body);  // an error's text may be cleaned
  } else if (const auto client = tokend::decode_client_hello(body)) {
    tokend::append_client_hello(frame, *client);
    require_same(frame, body);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteView input(data, size);
  decode_all(input);
  tokend::FrameReader reader;
  for (std::size_t offset = 0; offset < size;) {
    const auto room = reader.prepare();
    const std::size_t chunk = std::min(room.size(), size - offset);
    std::memcpy(room.data(), data + offset, chunk);
    reader.commit(chunk);
    offset += chunk;
    for (;;) {
      const auto body = reader.next();
      if (!body) return 0;
      if (!*body) break;
      decode_all(**body);
    }
  }
  return 0;
}
