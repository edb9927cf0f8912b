// One small interface per aggregate; nobody gets "the database". Every write is on disk (synchronous=FULL) when the
// call resumes. Calls resume on the caller's executor. Errors: "store-unavailable" (unavailable). A row whose HMAC does
// not hold is logged and counted; it is treated as not there where absence refuses, and is the error "store-row-forged"
// (internal) where absence may grant: calls and devices.
#pragma once

#include <boost/asio/awaitable.hpp>

#include "ledger/ledger.hpp"
#include "store/records.hpp"
#include "tokens/result.hpp"

namespace avseal::store {

template <class T>
using Async = boost::asio::awaitable<Result<T>>;

class Subscriptions {
 public:
  virtual ~Subscriptions() = default;
  virtual Async<std::optional<Subscription>> find(tokens::Impu impu) = 0;
  virtual Async<std::int64_t> put(Subscription subscription) = 0;  // the new version
  virtual Async<bool> erase(tokens::Impu impu) = 0;                // false: there was none
};

class Avatars {
 public:
  virtual ~Avatars() = default;
  virtual Async<std::optional<AvatarRecord>> find(std::string id) = 0;
  virtual Async<void> stage(StagedContent content) = 0;
  virtual Async<std::optional<StagedContent>> staged(std::string avatar_id, std::string content_digest) = 0;
  // Replaces the record if its version is still `expected` (0: there must be none, or a withdrawn one), consumes the
  // staged content, gives the file to delete, if any. record.version is above all earlier ones, also of a withdrawn
  // record; the content file is staged under the record's digest, or the current one. Errors "avatar-version-conflict"
  // (precondition_failed), "avatar-content-missing" (conflict).
  virtual Async<std::optional<std::string>> publish(AvatarRecord record, std::int64_t expected) = 0;
  // The record stays, withdrawn, without file and key; its version stays.
  virtual Async<std::optional<std::string>> withdraw(std::string id, std::int64_t expected) = 0;
  virtual Async<std::vector<std::string>> files() = 0;  // names in use, to clear the directory at start
  virtual Async<std::vector<StagedContent>> expire_staged(UnixSeconds before) = 0;  // forgets and returns them
};

class CallStates {
 public:
  virtual ~CallStates() = default;
  virtual Async<void> put(
      Call call) = 0;  // "call-ended" (conflict) once it has ended, unless told again; "call-other-client" (forbidden)
  virtual Async<std::optional<Call>> find(std::string origid) = 0;
};

class Devices {
 public:
  virtual ~Devices() = default;
  virtual Async<void> add(Device device) = 0;  // "device-exists" (conflict)
  virtual Async<std::optional<Device>> find(std::string certificate_x5t) = 0;
  virtual Async<bool> revoke(std::string certificate_x5t) = 0;  // false: there is none
};

class EnrolmentCodes {
 public:
  virtual ~EnrolmentCodes() = default;
  virtual Async<void> add(EnrolmentCode code) = 0;  // "enrolment-code-exists" (conflict)
  // Atomically spends the code. "enrolment-code-invalid" (unauthenticated) if unknown, spent or expired.
  virtual Async<EnrolmentCode> spend(std::string code_sha256, UnixSeconds now) = 0;
};

// What operators told this node to do differently from its configuration. A forged row is an error.
class OperatorStates {
 public:
  virtual ~OperatorStates() = default;
  virtual Async<void> put(OperatorState state) = 0;
  virtual Async<std::vector<OperatorState>> all(std::string kind) = 0;  // by name
};

class ReplayCache {
 public:
  virtual ~ReplayCache() = default;
  virtual Async<ReplayState> reserve(ReplayEntry entry) = 0;  // durable before anything is signed
  // Gives the answer that is kept: this one, or an earlier one of a repetition that ran at the same time. Error
  // "replay-not-reserved" (internal).
  virtual Async<std::string> complete(std::string key, std::string answer) = 0;
};

class KeyStates {
 public:
  virtual ~KeyStates() = default;
  virtual Async<KeyStateTable> all() = 0;
  // Writes the rows together, if nothing changed since `revision`; "key-states-changed" (conflict).
  virtual Async<void> change(std::vector<KeyStateRow> rows, std::int64_t revision) = 0;
};

class IdempotencyKeys {
 public:
  virtual ~IdempotencyKeys() = default;
  // Begins an attempt if there was none, or it is over without an answer; durable before anything is signed.
  // "idempotency-keys-exhausted" (too_many_requests) when too many are remembered, of this client or in all.
  virtual Async<IdempotencyState> begin(IdempotencyRequest request) = 0;
  // Keeps the answer of an attempt. "idempotency-attempt-lost" (timeout): another attempt took its place meanwhile; the
  // answer must not be released.
  virtual Async<void> complete(std::string key, std::int64_t attempt, std::string answer) = 0;
  virtual Async<void> abandon(std::string key, std::int64_t attempt) = 0;  // it failed: the next one may begin at once
};

}  // namespace avseal::store
