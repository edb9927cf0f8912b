// One small interface per aggregate; nobody gets "the database". Every write is on disk (synchronous=FULL) when the
// call resumes. Calls resume on the caller's executor. Errors: "store-unavailable" (unavailable). A row whose HMAC does
// not hold is logged and counted; it is treated as not there where absence refuses, and is the error "store-row-forged"
// (internal) where absence may grant: calls, UE certificates and
// devices.
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

// A certificate and the state of its device, if it has one.
struct Standing {
  UeCertificate certificate;
  std::optional<DeviceState> device;
};

class UeCertificates {
 public:
  virtual ~UeCertificates() = default;
  virtual Async<void> add(UeCertificate certificate) = 0;  // "ue-certificate-exists" (conflict)
  virtual Async<std::optional<UeCertificate>> find(std::string certificate_x5t) = 0;
  virtual Async<std::optional<Standing>> standing(std::string certificate_x5t) = 0;
  virtual Async<std::vector<UeCertificate>> of_device(std::string id) = 0;       // newest first, at most 100
  virtual Async<bool> revoke(std::string certificate_x5t, UnixSeconds now) = 0;  // false: there is none
  virtual Async<std::vector<UeCertificate>> revoked(UnixSeconds now, std::size_t most) = 0;  // unexpired, for a CRL
};

class Devices {
 public:
  virtual ~Devices() = default;
  virtual Async<std::optional<Device>> find(std::string id) = 0;
  virtual Async<std::vector<Device>> list(DeviceQuery query) = 0;  // by id
  virtual Async<std::vector<tokens::Impu>> identities(std::string id) = 0;
  virtual Async<bool> another_active(tokens::Impu impu, std::string id) = 0;  // bound to the identity
  // Writes what became of a device, if nobody else did since it was read; "device-changed" (conflict).
  // Also binds it to an identity, if one is given.
  virtual Async<void> put(Device device, std::optional<tokens::Impu> bind) = 0;
  // As put(), with the certificate and the identity's binding. Refuses what was revoked meanwhile, as refusal() does.
  virtual Async<void> enrol(Enrolment enrolment) = 0;
  // Gives the number of certificates revoked with it; nothing: there is no such device.
  virtual Async<std::optional<std::int64_t>> revoke(std::string id, std::string why, UnixSeconds now) = 0;
  virtual Async<bool> approve(std::string id) = 0;  // active, and whatever its counters say next is believed
  virtual Async<std::int64_t> revoke_all(DeviceRevocation revocation) = 0;  // certificates revoked by it
  virtual Async<std::vector<DeviceRevocation>> revocations() = 0;
  // Whether a revocation stands against such a device: "device-batch-revoked", "device-model-refused",
  // "device-firmware-refused" (forbidden).
  virtual Async<void> refusal(Device device) = 0;
};

class Manifests {
 public:
  virtual ~Manifests() = default;
  // Adds and replaces devices of the maker. "document-rolled-back" (conflict) unless the version is above all earlier
  // ones of the maker, or it is the last one again; "manifest-other-maker" (conflict) for a device of another maker.
  virtual Async<void> import(Manifest manifest, std::vector<ManifestDevice> devices) = 0;
  virtual Async<std::vector<Manifest>> all() = 0;  // the newest of each maker
  virtual Async<std::optional<ManifestDevice>> find(std::string id) = 0;
};

// Numbers that only rise.
class DocumentVersions {
 public:
  virtual ~DocumentVersions() = default;
  // "document-rolled-back" (conflict) for a version below the highest, or another document with that version.
  virtual Async<void> accept(std::string kind, std::int64_t version, std::string digest) = 0;
  virtual Async<std::int64_t> next(std::string kind, std::int64_t least) = 0;
};

class EnrolmentCodes {
 public:
  virtual ~EnrolmentCodes() = default;
  virtual Async<void> add(EnrolmentCode code) = 0;  // "enrolment-code-exists" (conflict)
  // "enrolment-code-invalid" (unauthenticated) if unknown, spent or expired; spend() takes it, atomically.
  virtual Async<EnrolmentCode> find(std::string code_sha256, UnixSeconds now) = 0;
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
