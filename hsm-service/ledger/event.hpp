#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <boost/json.hpp>

#include "tokens/result.hpp"

namespace avseal::ledger {

// A person that an event concerns. The leaf holds only HMAC-SHA-256 under the subject's own key over origin and event.
struct Subject {
  std::string role;   // "orig", "dest", "owner", "sub"
  std::string value;  // canonical IMPU, or "tn:<digits>"
};

// Where a leaf is: the origin of its log, and its index there.
struct Position {
  std::string origin;
  std::uint64_t index = 0;

  [[nodiscard]] std::string to_string() const { return std::to_string(index) + " " + origin; }
  static std::optional<Position> parse(std::string_view text);  // only what to_string() gives
  friend bool operator==(const Position&, const Position&) = default;
};

// Whoever began what is logged reads here where it was.
using Receipt = std::shared_ptr<std::optional<Position>>;

// What is about to happen, known before it does.
struct Event {
  std::string type;       // "sign.avatar-id", "sign.shaken", "grant.access-token", "sign.avatar-metadata",
                          // "issue.ue-certificate", "subscription.put", "avatar.publish", "call.state", "refusal", ...
  std::string client;     // id in the client table; empty if not authenticated
  std::string actor_x5t;  // base64url SHA-256 of the client's TLS certificate
  std::string request_id;
  std::vector<Subject> subjects;
  boost::json::object details;  // no personal data: Avatar-id, application, origid, ...
  Receipt receipt = nullptr;    // set when the leaf is on disk
};

enum class Outcome { released, refused, discarded };
std::string_view to_string(Outcome outcome);

// One use of an HSM key, told by the worker that made the signature.
struct KeyUse {
  std::string key;             // name in the configuration
  std::string kid;             // RFC 7638 thumbprint of its public key
  std::string worker;          // instance id of the worker process
  std::uint64_t sequence = 0;  // of this key in that worker, from 1
  std::string digest;          // base64url SHA-256 of the signed bytes
  std::string outcome;         // "signed", or "discarded" for an attempt that was repeated elsewhere
};

}  // namespace avseal::ledger
