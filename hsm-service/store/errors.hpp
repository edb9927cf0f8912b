#pragma once

#include <fmt/format.h>

#include "tokens/result.hpp"

namespace avseal::store::errors {

inline Error unavailable(std::string detail) {
  Error error = avseal::errors::make(Category::unavailable, "store-unavailable", std::move(detail));
  error.retry_after = std::chrono::seconds(1);
  return error;
}

inline Error forged(std::string_view table) {
  return avseal::errors::make(Category::internal, "store-row-forged",
                              fmt::format("a row of table {} was not written by this service; see the log, restore it "
                                          "from a copy or write it again through the service",
                                          table));
}

inline Error head_changed(std::string_view origin, std::uint64_t size) {
  return avseal::errors::make(
      Category::unavailable, "ledger-head",
      fmt::format("the head of {} in the store is another one, of {} leaves: another process writes the same log; stop "
                  "it, and give each node an origin of its own",
                  origin, size));
}

inline Error version_conflict(std::int64_t expected, std::int64_t found) {
  return avseal::errors::make(
      Category::precondition_failed, "avatar-version-conflict",
      fmt::format("expected version {}, found {} (0: none); read the avatar again", expected, found));
}

inline Error not_staged(std::string_view digest) {
  return avseal::errors::make(Category::conflict, "avatar-content-missing",
                              fmt::format("the content {} is not staged for this avatar; upload it first", digest));
}

inline Error call_ended(std::string_view origid) {
  return avseal::errors::make(Category::conflict, "call-ended",
                              fmt::format("call {} has ended; its state cannot change any more", origid));
}

inline Error call_other_client(std::string_view origid) {
  return avseal::errors::make(Category::forbidden, "call-other-client",
                              fmt::format("the state of call {} is told by another client", origid));
}

inline Error ue_certificate_exists() {
  return avseal::errors::make(Category::conflict, "ue-certificate-exists", "this UE certificate is known already");
}

inline Error device_changed() {
  Error error = avseal::errors::make(Category::conflict, "device-changed",
                                     "another request of this device came first; begin again");
  error.retry_after = std::chrono::seconds(1);
  return error;
}

inline Error device_refused(std::string_view reason, std::string_view kind, std::string_view value) {
  return avseal::errors::make(Category::forbidden, reason,
                              fmt::format("the operator revoked all devices of the {} '{}'", kind, value));
}

inline Error document_rolled_back(std::string_view what, std::int64_t highest, std::int64_t found) {
  return avseal::errors::make(
      Category::conflict, "document-rolled-back",
      fmt::format("{}: version {} was accepted before, found version {}{}; a changed document needs a higher version",
                  what, highest, found, found == highest ? " with other content" : ""));
}

inline Error manifest_other_maker(std::string_view id, std::string_view maker) {
  return avseal::errors::make(Category::conflict, "manifest-other-maker",
                              fmt::format("device {} is in the manifest of the maker '{}'", id, maker));
}

inline Error enrolment_code_exists() {
  return avseal::errors::make(Category::conflict, "enrolment-code-exists", "this enrolment code was issued already");
}

inline Error enrolment_code_invalid() {
  return avseal::errors::make(Category::unauthenticated, "enrolment-code-invalid",
                              "the enrolment code is unknown, spent or expired; ask the operator for a new one");
}

inline Error not_reserved() {
  return avseal::errors::make(Category::internal, "replay-not-reserved", "an answer for a token that was not reserved");
}

inline Error key_states_changed() {
  return avseal::errors::make(Category::conflict, "key-states-changed",
                              "another change of the keys' states came first; look at them again");
}

inline Error idempotency_attempt_lost() {
  return avseal::errors::make(Category::timeout, "idempotency-attempt-lost",
                              "another attempt with this Idempotency-Key took the place of this one; repeat it");
}

inline Error idempotency_keys_exhausted() {
  Error error = avseal::errors::make(Category::too_many_requests, "idempotency-keys-exhausted",
                                     "too many idempotency keys are remembered; send fewer requests with one, or "
                                     "without");
  error.retry_after = std::chrono::seconds(10);
  return error;
}

}  // namespace avseal::store::errors
