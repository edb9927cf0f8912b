// The protocol between avseal-tokend and its clients on a Unix stream socket. Both sides use these functions.
//
// A frame is a length (u32, of what follows, 1 to max_frame) and a body, whose first byte is its type. Integers are
// big-endian; strN and bytesN are a length of N bits and that many bytes; str is printable ASCII (only `detail` may
// hold any text without control characters). Nothing may follow the last field.
//
//   client hello  0x01  u16 version
//   server hello  0x02  u16 version, str8 instance (a random uuid per process), token: str8 label, str8 serial, str8
//                       manufacturer, str8 model, str8 firmware; u8 sessions, u8 count, count x key
//                       key: str8 name, str8 kind, str8 algorithm ("ES256", "ES384", "A256GCM", "A256KW"), bytes16 SPKI
//                       (DER; empty for dac-kek), u64 sequence: how many signatures this instance has made with it so
//                       far, for whomever; those that are being made come later
//   sign          0x10  request: the bytes to be signed, never a digest; aad empty
//   wrap          0x11  request: a data key of 16 to 64 bytes
//   unwrap        0x12  request: what wrap returned
//   probe         0x13  request: input and aad empty
//                       request: u64 id, str8 key name, bytes32 input, bytes16 aad
//   result        0x20  u64 id, u64 sequence, u32 queue_us, u32 hsm_us, u32 recoveries, bytes16 value
//                       sign: r || s, and the number of signatures that this instance made with the key, this one
//                       included; wrap: the wrapped key; unwrap: the data key; probe: empty; sequence 0
//                       queue_us and hsm_us: what the request spent waiting for a session, and in the HSM; recoveries:
//                       of this instance so far
//   error         0x21  u64 id, u8 category, u32 ckr, str8 reason, str16 detail
//                       ckr: the PKCS#11 code of the call that failed, 0 if none did
//
// Both sides send their hello first and at once; either may leave when it does not know the other's version. Then the
// client sends requests with identifiers of its choice, as many as it likes, and gets one result or error for each, in
// any order. A frame that cannot be read ends the connection.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tokens/bytes.hpp"
#include "tokens/result.hpp"

namespace avseal::tokend {

inline constexpr std::uint16_t protocol_version = 3;
inline constexpr std::size_t max_frame = 128 * 1024;  // bytes after the length
inline constexpr std::size_t max_keys = 64;
inline constexpr std::size_t max_aad = 4096;
inline constexpr std::size_t max_detail = 1024;

enum class FrameType : std::uint8_t {
  client_hello = 0x01,
  server_hello = 0x02,
  sign = 0x10,
  wrap = 0x11,
  unwrap = 0x12,
  probe = 0x13,
  result = 0x20,
  error = 0x21,
};

struct KeyInfo {
  std::string name;
  std::string kind;  // "avatar-id", "avatar-metadata", "access-token", "ue-ca", "ledger", "dac-kek"
  std::string algorithm;
  Bytes spki;
  std::uint64_t sequence = 0;
  bool operator==(const KeyInfo&) const = default;
};

// What C_GetTokenInfo says.
struct TokenInfo {
  std::string label;
  std::string serial;
  std::string manufacturer;
  std::string model;
  std::string firmware;  // "2.6"
  bool operator==(const TokenInfo&) const = default;
};

struct ClientHello {
  std::uint16_t version = protocol_version;
};

struct ServerHello {
  std::uint16_t version = protocol_version;
  std::string instance;
  TokenInfo token;
  std::uint8_t sessions = 1;
  std::vector<KeyInfo> keys;
};

struct Request {
  FrameType operation = FrameType::sign;  // sign, wrap, unwrap or probe
  std::uint64_t id = 0;
  std::string key;
  Bytes input;
  Bytes aad;
};

// error.reason is one of the known ones below. It names a refusal ("not-of-key-kind", "key-unknown",
// "rate-exceeded", "wrapped-invalid", "crl-number-not-rising"), or a failure that another worker may not have
// ("hsm-error", "worker-busy", "worker-stopping", "state-unusable").
struct Reply {
  std::uint64_t id = 0;
  std::uint64_t sequence = 0;
  Result<Bytes> value = Bytes{};
  std::uint32_t ckr = 0;       // of an error
  std::uint32_t queue_us = 0;  // of a result, like the following
  std::uint32_t hsm_us = 0;
  std::uint32_t recoveries = 0;
};

// Appends one whole frame, length included. Fields beyond their bounds are the caller's error and refused
// ("frame-too-large"); out is then as before.
void append_client_hello(Bytes& out, const ClientHello& hello);
Result<void> append_server_hello(Bytes& out, const ServerHello& hello);
Result<void> append_request(Bytes& out, FrameType operation, std::uint64_t id, std::string_view key, ByteView input,
                            ByteView aad = {});
void append_reply(Bytes& out, const Reply& reply);  // a detail is cut to max_detail, control characters become spaces

// Decode the body of one frame. Reason "frame-malformed".
Result<FrameType> frame_type(ByteView body);
Result<ClientHello> decode_client_hello(ByteView body);
Result<ServerHello> decode_server_hello(ByteView body);  // of another version: the version alone
Result<Request> decode_request(ByteView body);
Result<Reply> decode_reply(ByteView body);

// The literal with static storage that equals `reason`, or "hsm-error" for one that this version does not know.
std::string_view known_reason(std::string_view reason);

// The name of a PKCS#11 code, of a bounded set: "CKR_DEVICE_ERROR", ..., "CKR_VENDOR_DEFINED", "CKR_UNKNOWN".
std::string_view ckr_name(std::uint32_t ckr);

// Cuts a byte stream into frames: read into prepare(), commit() what arrived, take bodies from next() until it is
// empty. Clears what it held when it dies, for data keys pass through it.
class FrameReader {
 public:
  FrameReader() = default;
  FrameReader(const FrameReader&) = delete;
  FrameReader& operator=(const FrameReader&) = delete;
  ~FrameReader();

  // Room for at least one more byte and for the rest of a begun frame. Ends the life of bodies that next() returned.
  std::span<std::uint8_t> prepare();
  void commit(std::size_t size);

  // The next whole body, nothing if more bytes are needed, or "frame-malformed" for a length of 0 or beyond max_frame.
  Result<std::optional<ByteView>> next();

 private:
  Bytes buffer_;
  std::size_t begin_ = 0;  // first byte that was not yet returned
  std::size_t end_ = 0;    // end of what arrived
};

}  // namespace avseal::tokend
