#pragma once

#include "store/database.hpp"
#include "store/interfaces.hpp"
#include "store/row_seal.hpp"

namespace avseal::store {

// One implementation per aggregate; database and seal outlive them.
std::unique_ptr<Subscriptions> make_subscriptions(Database& database, const RowSeal& seal);
std::unique_ptr<Avatars> make_avatars(Database& database, const RowSeal& seal);
std::unique_ptr<CallStates> make_call_states(Database& database, const RowSeal& seal);
std::unique_ptr<UeCertificates> make_ue_certificates(Database& database, const RowSeal& seal);
std::unique_ptr<Devices> make_devices(Database& database, const RowSeal& seal);
std::unique_ptr<Manifests> make_manifests(Database& database, const RowSeal& seal);
std::unique_ptr<DocumentVersions> make_document_versions(Database& database, const RowSeal& seal);
std::unique_ptr<EnrolmentCodes> make_enrolment_codes(Database& database, const RowSeal& seal);
std::unique_ptr<OperatorStates> make_operator_states(Database& database, const RowSeal& seal);
std::unique_ptr<ReplayCache> make_replay_cache(Database& database);
std::unique_ptr<IdempotencyKeys> make_idempotency_keys(Database& database, const RowSeal& seal);
std::unique_ptr<KeyStates> make_key_states(Database& database, const RowSeal& seal);
std::unique_ptr<ledger::SubjectKeys> make_subject_keys(Database& database, const RowSeal& seal);
std::unique_ptr<ledger::HeadStore> make_ledger_heads(Database& database);

// Those of schema 6, which had no seals: once the row key is known, in a transaction of its own.
Result<void> seal_subject_keys(Connection& connection, const RowSeal& seal);

// Forgets what expired well before now: replay entries, enrolment codes, idempotency keys; and calls of a week ago.
Result<void> purge_expired(Connection& connection, UnixSeconds now);
Result<void> forget_idempotency_keys(Connection& connection, UnixSeconds now, std::int64_t most);

}  // namespace avseal::store
