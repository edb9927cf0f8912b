// What the store keeps. Each aggregate has a small interface of its own in store/interfaces.hpp.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <boost/json.hpp>

#include "tokens/bytes.hpp"
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

// Why a UE certificate is not good any more; superseded: another one was issued for the same device and identity.
enum class RevocationCause { none, certificate, superseded, device, batch, model, firmware };
std::string_view to_string(RevocationCause cause);  // "", "certificate", ...
std::optional<RevocationCause> parse_revocation_cause(std::string_view text);

// A UE certificate that this operator issued.
struct UeCertificate {
  std::string certificate_x5t;  // base64url SHA-256
  tokens::Impu impu;
  std::string serial_hex;
  UnixSeconds not_after = 0;
  std::string device = {};     // id; empty: issued in the simple form, for whatever holds the key
  UnixSeconds revoked_at = 0;  // 0: is not; 1: before the time was kept; may be in the future
  RevocationCause cause = RevocationCause::none;
  [[nodiscard]] bool revoked(UnixSeconds now) const { return revoked_at != 0 && revoked_at <= now; }
};

// Pending devices wait for an operator's approval.
enum class DeviceState { pending, active, revoked };
std::string_view to_string(DeviceState state);
std::optional<DeviceState> parse_device_state(std::string_view text);

// What one TPM made of itself: counters as TPM2_Certify and TPM2_Quote tell them.
struct TpmLife {
  std::int64_t reset_count = -1;  // -1: not known, so anything may follow
  std::int64_t restart_count = 0;
  std::int64_t clock = 0;  // milliseconds
};

// A TPM, told by its endorsement key, and the product that it is built into.
struct Device {
  std::string id;             // hex SHA-256 of the EK's SubjectPublicKeyInfo
  std::string serial_sha256;  // hex
  std::string maker;          // these three as the maker's manifest says; empty if none does
  std::string model;
  std::string batch;
  std::string tpm;       // vendor and model
  std::string firmware;  // of the TPM, 16 hex digits
  std::string ak_name;   // hex
  UnixSeconds ak_since = 0;
  DeviceState state = DeviceState::active;
  std::string why;  // reason code of a state other than active
  TpmLife life;
  UnixSeconds first_seen = 0;
  UnixSeconds last_seen = 0;
  std::int64_t revision = 0;  // of the row that was read; 0: there was none
};

// A certificate for a device, and what the device has become by it.
struct Enrolment {
  Device device;
  UeCertificate certificate;
  UnixSeconds supersede_at = 0;  // earlier certificates of this device and identity end then
};

struct DeviceQuery {
  std::optional<DeviceState> state;
  std::string batch;  // empty: any
  std::string model;
  std::string after;  // id of the last one of the page before
  std::int64_t limit = 100;
};

// All devices of a batch, a model or a TPM firmware, also those that come later.
struct DeviceRevocation {
  RevocationCause kind = RevocationCause::batch;  // batch, model or firmware
  std::string value;
  std::string scope;  // maker (batch, model) or TPM vendor (firmware); empty: any
  std::string reason;
  std::string actor;  // client id of the operator
  UnixSeconds since = 0;
};

// What a device maker says of one device.
struct ManifestDevice {
  std::string id;             // hex SHA-256 of the EK's SubjectPublicKeyInfo
  std::string serial_sha256;  // hex
  std::string maker;
  std::string model;
  std::string batch;
};
struct Manifest {
  std::string maker;
  std::int64_t version = 0;
  std::string digest;  // hex SHA-256 of the document
  std::int64_t devices = 0;
  UnixSeconds imported_at = 0;
  std::string actor;
};

struct EnrolmentCode {
  std::string code_sha256;  // base64url; the code itself is never stored
  tokens::Impu impu;
  UnixSeconds expires = 0;
  bool simple = false;  // for a certificate without proof that the key is in a TPM
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
