// What the store keeps. Each aggregate has a small interface of its own in store/interfaces.hpp.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <boost/json.hpp>

#include "tokens/clock.hpp"
#include "tokens/impu.hpp"

namespace avseal::store {

struct SubscribedAvatar {
  std::string id;
  std::vector<std::string> applications;
};

struct Subscription {
  tokens::Impu impu;
  std::vector<SubscribedAvatar> avatars;
  std::int64_t version = 0;  // set by the store, from 1
};

struct AvatarRecord {
  std::string id;
  tokens::Impu owner;
  std::int64_t version = 0;    // of the published avatar, from 1
  std::string content_digest;  // "sha-256-<base64>" of the plain content
  std::int64_t content_size = 0;
  std::string content_type;
  std::string content_file;     // name of the sealed file under the DAC's directory
  Bytes wrapped_key;            // data key of this version, wrapped by dac-kek
  boost::json::object members;  // the operator's own metadata members
  bool withdrawn = false;
};

// Content that was uploaded and not yet published.
struct StagedContent {
  std::string avatar_id;
  std::string content_digest;
  std::int64_t content_size = 0;
  std::string content_type;
  std::string content_file;
  Bytes wrapped_key;
  UnixSeconds staged_at = 0;
};

enum class CallState { accepted, avatar_rejected, ended };
std::string_view to_string(CallState state);  // "accepted", "avatar-rejected", "ended"

struct Call {
  std::string origid;
  CallState state = CallState::accepted;
  std::string client;  // the IMS AS that told it
  UnixSeconds changed_at = 0;
};

// A UE certificate that this operator issued.
struct Device {
  std::string certificate_x5t;  // base64url SHA-256
  tokens::Impu impu;
  std::string serial_hex;
  UnixSeconds not_after = 0;
  bool revoked = false;
};

struct EnrolmentCode {
  std::string code_sha256;  // base64url; the code itself is never stored
  tokens::Impu impu;
  UnixSeconds expires = 0;
};

// "token" hsm-a is "drained", ...
struct OperatorState {
  std::string kind;
  std::string name;
  std::string state;
};

// The one use of a UE token. `key` identifies the token (UE certificate and jti), digest the request's bytes.
struct ReplayEntry {
  std::string key;
  std::string client;
  std::string digest;
  UnixSeconds expires = 0;
};
struct ReplayState {
  enum class Kind { reserved, same_request, other_request } kind = Kind::reserved;
  std::string answer;  // same_request: the stored answer, empty if it was not completed
};

// Staged keys and verifying ones (those that signed before) are shown and verified with; only the active one signs.
enum class KeyState { staged, active, verifying, retired };
std::string_view to_string(KeyState state);  // "staged", "active", "verifying", "retired"
std::optional<KeyState> parse_key_state(std::string_view text);

// A logical key's state, as an operator changed it; a key without a row is what the configuration says.
struct KeyStateRow {
  std::string name;
  std::string kind;
  KeyState state = KeyState::verifying;
  UnixSeconds since = 0;
  std::string actor;  // client id of the operator
  std::string reason;
};
struct KeyStateTable {
  std::vector<KeyStateRow> rows;
  std::int64_t revision = 0;  // of the last change
};

// One attempt at a request that has an Idempotency-Key.
struct IdempotencyRequest {
  std::string key;     // digest of client certificate, route and the caller's key
  std::string client;  // id in the client table
  std::string digest;  // of what must be the same in every attempt
  UnixSeconds now = 0;
  UnixSeconds busy_until = 0;  // last second of this attempt
  UnixSeconds expires = 0;     // last second at which the key is remembered
};
struct IdempotencyState {
  enum class Kind { begun, completed, in_progress, other_request } kind = Kind::begun;
  std::int64_t attempt = 0;    // begun: for complete() or abandon()
  std::string answer;          // completed
  UnixSeconds busy_until = 0;  // in_progress: of that attempt
};

}  // namespace avseal::store
