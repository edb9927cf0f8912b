#include "tokend/protocol.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include <openssl/crypto.h>

#include "pkcs11/errors.hpp"

namespace avseal::tokend {

namespace {

constexpr std::size_t length_size = 4;
constexpr std::size_t read_size = 64 * 1024;

constexpr std::array<std::string_view, 9> reasons = {
    "crl-number-not-rising", "state-unusable", "not-of-key-kind", "key-unknown",    "rate-exceeded",
    "wrapped-invalid",       "hsm-error",      "worker-busy",     "worker-stopping"};

Error malformed(std::string detail) {
  return errors::make(Category::bad_request, "frame-malformed", std::move(detail));
}

Error too_large(std::string detail) {
  return errors::make(Category::too_large, "frame-too-large", std::move(detail));
}

bool printable(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= 0x20 && c < 0x7f; });
}

bool control(char c) {
  return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
}

// Appends one frame; its length is filled in by finish().
class Writer {
 public:
  Writer(Bytes& out, FrameType type) : out_(out), start_(out.size()) {
    out_.resize(start_ + length_size);
    unsigned_integer(static_cast<std::uint8_t>(type));
  }

  template <class T>
  void unsigned_integer(T value) {
    for (std::size_t i = sizeof(T); i-- > 0;) {
      out_.push_back(static_cast<std::uint8_t>(static_cast<std::uint64_t>(value) >> (8 * i)));
    }
  }

  // The caller has checked that the size fits Length.
  template <class Length>
  void bytes(ByteView value) {
    unsigned_integer(static_cast<Length>(value.size()));
    out_.insert(out_.end(), value.begin(), value.end());
  }

  void finish() {
    const std::size_t size = out_.size() - start_ - length_size;
    for (std::size_t i = 0; i < length_size; ++i) {
      out_[start_ + i] = static_cast<std::uint8_t>(size >> (8 * (length_size - 1 - i)));
    }
  }

 private:
  Bytes& out_;
  std::size_t start_;
};

// Reads fields in order; after the first that is not there everything reads as empty and done() says so.
class Reader {
 public:
  explicit Reader(ByteView body) : rest_(body) {}

  template <class T>
  T unsigned_integer() {
    std::uint64_t value = 0;
    for (const std::uint8_t byte : take(sizeof(T))) value = value << 8 | byte;
    return static_cast<T>(value);
  }

  template <class Length>
  ByteView bytes() {
    return take(unsigned_integer<Length>());
  }

  template <class Length>
  std::string text() {
    const std::string_view value = as_text(bytes<Length>());
    if (!printable(value)) failed_ = true;
    return std::string(value);
  }

  [[nodiscard]] bool good() const { return !failed_; }
  [[nodiscard]] bool done() const { return good() && rest_.empty(); }

 private:
  ByteView take(std::size_t size) {
    if (failed_ || size > rest_.size()) {
      failed_ = true;
      return {};
    }
    const ByteView taken = rest_.first(size);
    rest_ = rest_.subspan(size);
    return taken;
  }

  ByteView rest_;
  bool failed_ = false;
};

Bytes copy(ByteView bytes) {
  return {bytes.begin(), bytes.end()};
}

Result<Reader> open(ByteView body, FrameType expected) {
  if (body.empty() || body[0] != static_cast<std::uint8_t>(expected)) {
    return malformed("a frame of another type arrived, expected type " + std::to_string(static_cast<int>(expected)));
  }
  return Reader(body.subspan(1));
}

bool is_request(FrameType type) {
  return type == FrameType::sign || type == FrameType::wrap || type == FrameType::unwrap || type == FrameType::probe;
}

// The sizes that each operation allows.
Result<void> check_request(FrameType operation, std::string_view key, ByteView input, ByteView aad) {
  if (key.empty() || key.size() > 255 || !printable(key))
    return malformed("a key name is 1 to 255 printable characters");
  if (aad.size() > max_aad) return too_large("associated data is at most " + std::to_string(max_aad) + " bytes");
  const std::size_t header = 1 + 8 + 1 + key.size() + 4 + 2 + aad.size();
  if (input.size() > max_frame - header)
    return too_large("a request is at most " + std::to_string(max_frame) + " bytes");
  switch (operation) {
    case FrameType::sign:
      if (input.empty() || !aad.empty()) return malformed("sign takes bytes to be signed and no associated data");
      return {};
    case FrameType::wrap:
      if (input.size() < 16 || input.size() > 64) return malformed("wrap takes a data key of 16 to 64 bytes");
      return {};
    case FrameType::unwrap:
      if (input.empty()) return malformed("unwrap takes a wrapped key");
      return {};
    case FrameType::probe:
      if (!input.empty() || !aad.empty()) return malformed("probe takes neither input nor associated data");
      return {};
    default:
      return malformed("not a request");
  }
}

// In the order of the frame; const or not as the token is.
template <class Token>
auto texts_of(Token& token) {
  return std::array{&token.label, &token.serial, &token.manufacturer, &token.model, &token.firmware};
}

std::string clean_detail(std::string_view detail) {
  std::string text(detail.substr(0, max_detail));
  std::replace_if(text.begin(), text.end(), control, ' ');
  return text;
}

}  // namespace

std::string_view known_reason(std::string_view reason) {
  const auto* const found = std::find(reasons.begin(), reasons.end(), reason);
  return found == reasons.end() ? "hsm-error" : *found;
}

std::string_view ckr_name(std::uint32_t ckr) {
  return pkcs11::ckr_name(ckr);
}

void append_client_hello(Bytes& out, const ClientHello& hello) {
  Writer writer(out, FrameType::client_hello);
  writer.unsigned_integer(hello.version);
  writer.finish();
}

Result<void> append_server_hello(Bytes& out, const ServerHello& hello) {
  if (hello.keys.size() > max_keys) return too_large("a worker has at most " + std::to_string(max_keys) + " keys");
  for (const KeyInfo& key : hello.keys) {
    if (key.name.empty() || key.name.size() > 255 || key.kind.size() > 255 || key.algorithm.size() > 255 ||
        key.spki.size() > 1024 || !printable(key.name + key.kind + key.algorithm)) {
      return too_large("key \"" + key.name + "\" cannot be announced: names are 1 to 255 printable characters");
    }
  }
  for (const std::string* text : texts_of(hello.token)) {
    if (text->size() > 255 || !printable(*text)) return too_large("the token's description cannot be announced");
  }
  Writer writer(out, FrameType::server_hello);
  writer.unsigned_integer(hello.version);
  writer.bytes<std::uint8_t>(as_bytes(hello.instance));
  for (const std::string* text : texts_of(hello.token)) writer.bytes<std::uint8_t>(as_bytes(*text));
  writer.unsigned_integer(hello.sessions);
  writer.unsigned_integer(static_cast<std::uint8_t>(hello.keys.size()));
  for (const KeyInfo& key : hello.keys) {
    writer.bytes<std::uint8_t>(as_bytes(key.name));
    writer.bytes<std::uint8_t>(as_bytes(key.kind));
    writer.bytes<std::uint8_t>(as_bytes(key.algorithm));
    writer.bytes<std::uint16_t>(key.spki);
    writer.unsigned_integer(key.sequence);
  }
  writer.finish();
  return {};
}

Result<void> append_request(Bytes& out, FrameType operation, std::uint64_t id, std::string_view key, ByteView input,
                            ByteView aad) {
  AVSEAL_CHECK(check_request(operation, key, input, aad));
  Writer writer(out, operation);
  writer.unsigned_integer(id);
  writer.bytes<std::uint8_t>(as_bytes(key));
  writer.bytes<std::uint32_t>(input);
  writer.bytes<std::uint16_t>(aad);
  writer.finish();
  return {};
}

void append_reply(Bytes& out, const Reply& reply) {
  if (reply.value) {
    Writer writer(out, FrameType::result);
    writer.unsigned_integer(reply.id);
    writer.unsigned_integer(reply.sequence);
    writer.unsigned_integer(reply.queue_us);
    writer.unsigned_integer(reply.hsm_us);
    writer.unsigned_integer(reply.recoveries);
    writer.bytes<std::uint16_t>(*reply.value);
    writer.finish();
    return;
  }
  const Error& error = reply.value.error();
  Writer writer(out, FrameType::error);
  writer.unsigned_integer(reply.id);
  writer.unsigned_integer(static_cast<std::uint8_t>(error.category));
  writer.unsigned_integer(reply.ckr);
  writer.bytes<std::uint8_t>(as_bytes(known_reason(error.reason)));
  writer.bytes<std::uint16_t>(as_bytes(clean_detail(error.detail)));
  writer.finish();
}

Result<FrameType> frame_type(ByteView body) {
  if (body.empty()) return malformed("an empty frame");
  const auto type = static_cast<FrameType>(body[0]);
  switch (type) {
    case FrameType::client_hello:
    case FrameType::server_hello:
    case FrameType::sign:
    case FrameType::wrap:
    case FrameType::unwrap:
    case FrameType::probe:
    case FrameType::result:
    case FrameType::error:
      return type;
  }
  return malformed("unknown frame type " + std::to_string(body[0]));
}

Result<ClientHello> decode_client_hello(ByteView body) {
  AVSEAL_TRY(Reader reader, open(body, FrameType::client_hello));
  const ClientHello hello{reader.unsigned_integer<std::uint16_t>()};
  if (!reader.done()) return malformed("a client hello is a version and nothing else");
  return hello;
}

Result<ServerHello> decode_server_hello(ByteView body) {
  AVSEAL_TRY(Reader reader, open(body, FrameType::server_hello));
  ServerHello hello;
  hello.version = reader.unsigned_integer<std::uint16_t>();
  if (reader.good() && hello.version != protocol_version) return hello;
  hello.instance = reader.text<std::uint8_t>();
  for (std::string* text : texts_of(hello.token)) *text = reader.text<std::uint8_t>();
  hello.sessions = reader.unsigned_integer<std::uint8_t>();
  const std::size_t count = reader.unsigned_integer<std::uint8_t>();
  if (count > max_keys) return malformed("a server hello names at most " + std::to_string(max_keys) + " keys");
  for (std::size_t i = 0; i < count; ++i) {
    KeyInfo key;
    key.name = reader.text<std::uint8_t>();
    key.kind = reader.text<std::uint8_t>();
    key.algorithm = reader.text<std::uint8_t>();
    key.spki = copy(reader.bytes<std::uint16_t>());
    key.sequence = reader.unsigned_integer<std::uint64_t>();
    hello.keys.push_back(std::move(key));
  }
  if (!reader.done()) return malformed("the server hello is cut short, too long, or has unprintable names");
  return hello;
}

Result<Request> decode_request(ByteView body) {
  AVSEAL_TRY(const FrameType type, frame_type(body));
  if (!is_request(type)) return malformed("expected a request, found type " + std::to_string(body[0]));
  Reader reader(body.subspan(1));
  const auto id = reader.unsigned_integer<std::uint64_t>();
  const std::string key = reader.text<std::uint8_t>();
  const ByteView input = reader.bytes<std::uint32_t>();
  const ByteView aad = reader.bytes<std::uint16_t>();
  if (!reader.done())
    return malformed("the request is cut short, too long, or names its key in unprintable characters");
  if (auto checked = check_request(type, key, input, aad); !checked) return malformed(checked.error().detail);
  return Request{type, id, key, copy(input), copy(aad)};
}

Result<Reply> decode_reply(ByteView body) {
  AVSEAL_TRY(const FrameType type, frame_type(body));
  Reader reader(body.subspan(1));
  Reply reply;
  reply.id = reader.unsigned_integer<std::uint64_t>();
  if (type == FrameType::result) {
    reply.sequence = reader.unsigned_integer<std::uint64_t>();
    reply.queue_us = reader.unsigned_integer<std::uint32_t>();
    reply.hsm_us = reader.unsigned_integer<std::uint32_t>();
    reply.recoveries = reader.unsigned_integer<std::uint32_t>();
    reply.value = copy(reader.bytes<std::uint16_t>());
  } else if (type == FrameType::error) {
    const auto category = reader.unsigned_integer<std::uint8_t>();
    reply.ckr = reader.unsigned_integer<std::uint32_t>();
    const std::string reason = reader.text<std::uint8_t>();
    const std::string_view detail = as_text(reader.bytes<std::uint16_t>());
    if (category > static_cast<std::uint8_t>(Category::internal)) return malformed("unknown error category");
    if (std::any_of(detail.begin(), detail.end(), control)) return malformed("control characters in an error's detail");
    reply.value = errors::make(static_cast<Category>(category), known_reason(reason), std::string(detail));
  } else {
    return malformed("expected a result or an error, found type " + std::to_string(body[0]));
  }
  if (!reader.done()) return malformed("the reply is cut short or too long");
  return reply;
}

FrameReader::~FrameReader() {
  OPENSSL_cleanse(buffer_.data(), buffer_.size());
}

std::span<std::uint8_t> FrameReader::prepare() {
  if (buffer_.size() < max_frame + length_size + read_size) buffer_.resize(max_frame + length_size + read_size);
  if (begin_ > 0) {
    std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
    OPENSSL_cleanse(buffer_.data() + (end_ - begin_), begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  return std::span(buffer_).subspan(end_);
}

void FrameReader::commit(std::size_t size) {
  end_ += size;
}

Result<std::optional<ByteView>> FrameReader::next() {
  if (end_ - begin_ < length_size) return std::optional<ByteView>{};
  std::size_t size = 0;
  for (std::size_t i = 0; i < length_size; ++i) size = size << 8 | buffer_[begin_ + i];
  if (size == 0 || size > max_frame) {
    return malformed("a frame of " + std::to_string(size) + " bytes, expected 1 to " + std::to_string(max_frame));
  }
  if (end_ - begin_ - length_size < size) return std::optional<ByteView>{};
  const ByteView body(buffer_.data() + begin_ + length_size, size);
  begin_ += length_size + size;
  return std::optional<ByteView>(body);
}

}  // namespace avseal::tokend
