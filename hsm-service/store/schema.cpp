#include "store/schema.hpp"

#include <array>

#include "store/errors.hpp"

namespace avseal::store {

namespace {

constexpr std::int64_t application_id = 0x61767331;  // "avs1"

// Step i brings version i to i + 1. A step never changes once it was released. The last column of a granting row is its
// seal (store/row_seal.hpp).
constexpr std::array<const char*, schema_version> steps = {
    R"(
PRAGMA application_id = 1635152689;
CREATE TABLE subscription (
  impu TEXT PRIMARY KEY NOT NULL,
  avatars TEXT NOT NULL,              -- canonical JSON: [{"applications":[..],"id":".."}]
  version INTEGER NOT NULL,
  seal BLOB NOT NULL
) STRICT;
CREATE TABLE avatar (
  id TEXT PRIMARY KEY NOT NULL,
  owner TEXT NOT NULL,
  version INTEGER NOT NULL,
  content_digest TEXT NOT NULL,
  content_size INTEGER NOT NULL,
  content_type TEXT NOT NULL,
  content_file TEXT NOT NULL,         -- empty once withdrawn
  wrapped_key BLOB NOT NULL,          -- empty once withdrawn
  members TEXT NOT NULL,              -- canonical JSON object
  withdrawn INTEGER NOT NULL,
  seal BLOB NOT NULL
) STRICT;
CREATE TABLE staged_content (
  avatar_id TEXT NOT NULL,
  content_digest TEXT NOT NULL,
  content_size INTEGER NOT NULL,
  content_type TEXT NOT NULL,
  content_file TEXT NOT NULL,
  wrapped_key BLOB NOT NULL,
  staged_at INTEGER NOT NULL,
  seal BLOB NOT NULL,
  PRIMARY KEY (avatar_id, content_digest)
) STRICT;
CREATE INDEX staged_content_staged_at ON staged_content (staged_at);
CREATE TABLE call (
  origid TEXT PRIMARY KEY NOT NULL,
  state TEXT NOT NULL,
  client TEXT NOT NULL,
  changed_at INTEGER NOT NULL,
  seal BLOB NOT NULL
) STRICT;
CREATE INDEX call_changed_at ON call (changed_at);
CREATE TABLE device (
  certificate_x5t TEXT PRIMARY KEY NOT NULL,
  impu TEXT NOT NULL,
  serial_hex TEXT NOT NULL,
  not_after INTEGER NOT NULL,
  revoked INTEGER NOT NULL,
  seal BLOB NOT NULL
) STRICT;
CREATE TABLE enrolment_code (
  code_sha256 TEXT PRIMARY KEY NOT NULL,
  impu TEXT NOT NULL,
  expires INTEGER NOT NULL,
  seal BLOB NOT NULL
) STRICT;
CREATE TABLE replay (
  key TEXT PRIMARY KEY NOT NULL,
  client TEXT NOT NULL,
  digest TEXT NOT NULL,
  expires INTEGER NOT NULL,
  answer TEXT NOT NULL                -- empty until complete
) STRICT;
CREATE INDEX replay_expires ON replay (expires);
CREATE TABLE subject_key (
  subject TEXT PRIMARY KEY NOT NULL,
  key BLOB NOT NULL
) STRICT;
)",
    R"(
CREATE TABLE operator_state (
  kind TEXT NOT NULL,
  name TEXT NOT NULL,
  state TEXT NOT NULL,
  seal BLOB NOT NULL,
  PRIMARY KEY (kind, name)
) STRICT;
)",
    R"(
CREATE TABLE idempotency_key (
  key TEXT PRIMARY KEY NOT NULL,
  client TEXT NOT NULL,
  request BLOB NOT NULL,              -- keyed digest
  attempt INTEGER NOT NULL,
  busy_until INTEGER NOT NULL,
  expires INTEGER NOT NULL,
  answer TEXT NOT NULL,               -- empty until complete
  seal BLOB NOT NULL
) STRICT;
CREATE INDEX idempotency_key_expires ON idempotency_key (expires);
CREATE TABLE idempotency_count (
  client TEXT PRIMARY KEY NOT NULL,   -- '': all
  live INTEGER NOT NULL
) STRICT;
CREATE TRIGGER idempotency_key_added AFTER INSERT ON idempotency_key BEGIN
  INSERT INTO idempotency_count VALUES ('', 1), (NEW.client, 1) ON CONFLICT (client) DO UPDATE SET live = live + 1;
END;
CREATE TRIGGER idempotency_key_removed AFTER DELETE ON idempotency_key BEGIN
  UPDATE idempotency_count SET live = live - 1 WHERE client IN ('', OLD.client);
END;
)",
    R"(
CREATE TABLE key_state (
  name TEXT PRIMARY KEY NOT NULL,
  kind TEXT NOT NULL,
  state TEXT NOT NULL,
  since INTEGER NOT NULL,
  actor TEXT NOT NULL,
  reason TEXT NOT NULL,
  revision INTEGER NOT NULL,          -- of the change that wrote the row
  seal BLOB NOT NULL
) STRICT;
)",
    // What was in `device` keeps its seals: see ue_certificate_rows.cpp.
    R"(
CREATE TABLE ue_certificate (
  certificate_x5t TEXT PRIMARY KEY NOT NULL,
  impu TEXT NOT NULL,
  serial_hex TEXT NOT NULL,
  not_after INTEGER NOT NULL,
  device TEXT NOT NULL,               -- empty: simple form
  revoked_at INTEGER NOT NULL,        -- 0: is not; 1: before this was kept
  cause TEXT NOT NULL,
  seal BLOB NOT NULL
) STRICT;
INSERT INTO ue_certificate SELECT certificate_x5t, impu, serial_hex, not_after, '', revoked, '', seal FROM device;
DROP TABLE device;
CREATE INDEX ue_certificate_device ON ue_certificate (device);
CREATE INDEX ue_certificate_revoked_at ON ue_certificate (revoked_at) WHERE revoked_at <> 0;
CREATE TABLE device (
  id TEXT PRIMARY KEY NOT NULL,       -- hex SHA-256 of the EK's SubjectPublicKeyInfo
  serial_sha256 TEXT NOT NULL,
  maker TEXT NOT NULL,
  model TEXT NOT NULL,
  batch TEXT NOT NULL,
  tpm TEXT NOT NULL,
  firmware TEXT NOT NULL,
  ak_name TEXT NOT NULL,
  ak_since INTEGER NOT NULL,
  state TEXT NOT NULL,
  why TEXT NOT NULL,
  reset_count INTEGER NOT NULL,
  restart_count INTEGER NOT NULL,
  clock INTEGER NOT NULL,
  first_seen INTEGER NOT NULL,
  last_seen INTEGER NOT NULL,
  revision INTEGER NOT NULL,
  seal BLOB NOT NULL
) STRICT;
CREATE INDEX device_batch ON device (batch);
CREATE INDEX device_model ON device (model);
CREATE TABLE device_identity (
  device TEXT NOT NULL,
  impu TEXT NOT NULL,
  seal BLOB NOT NULL,
  PRIMARY KEY (device, impu)
) STRICT;
CREATE INDEX device_identity_impu ON device_identity (impu);
CREATE TABLE device_revocation (
  kind TEXT NOT NULL,                 -- batch, model, firmware
  value TEXT NOT NULL,
  scope TEXT NOT NULL,
  reason TEXT NOT NULL,
  actor TEXT NOT NULL,
  since INTEGER NOT NULL,
  seal BLOB NOT NULL,
  PRIMARY KEY (kind, value, scope)
) STRICT;
CREATE TABLE manifest (
  maker TEXT PRIMARY KEY NOT NULL,
  version INTEGER NOT NULL,
  digest TEXT NOT NULL,
  devices INTEGER NOT NULL,
  imported_at INTEGER NOT NULL,
  actor TEXT NOT NULL,
  seal BLOB NOT NULL
) STRICT;
CREATE TABLE manifest_device (
  id TEXT PRIMARY KEY NOT NULL,
  serial_sha256 TEXT NOT NULL,
  maker TEXT NOT NULL,
  model TEXT NOT NULL,
  batch TEXT NOT NULL,
  seal BLOB NOT NULL
) STRICT;
CREATE TABLE document_version (
  kind TEXT PRIMARY KEY NOT NULL,
  version INTEGER NOT NULL,
  digest TEXT NOT NULL,
  seal BLOB NOT NULL
) STRICT;
ALTER TABLE enrolment_code ADD COLUMN simple INTEGER NOT NULL DEFAULT 0;
)",
    R"(
CREATE TABLE ledger_head (
  origin TEXT PRIMARY KEY NOT NULL,
  size INTEGER NOT NULL,
  root BLOB NOT NULL,
  note TEXT NOT NULL,                 -- the signed checkpoint
  uses TEXT NOT NULL                  -- of the ledger key, which no leaf tells yet
) STRICT;
)",
    // Whoever opens the store with its row key seals them: see subject_keys.cpp.
    R"(
ALTER TABLE subject_key RENAME TO unsealed_subject_key;
CREATE TABLE subject_key (
  subject TEXT PRIMARY KEY NOT NULL,
  key BLOB NOT NULL,
  seal BLOB NOT NULL
) STRICT;
)",
};

Result<void> check_ours(Connection& connection, std::int64_t version) {
  if (version > schema_version) {
    return errors::unavailable(
        fmt::format("the store has schema {}, this program knows {}; use the newer program", version, schema_version));
  }
  AVSEAL_TRY(const auto id, connection.number("PRAGMA application_id"));
  AVSEAL_TRY(const auto tables, connection.number("SELECT count(*) FROM sqlite_schema"));
  const bool fresh = version == 0 && id == 0 && tables == 0;
  const bool ours = version > 0 && id == application_id;
  if (!fresh && !ours) return errors::unavailable("this SQLite file is not a store of avseal; configure another path");
  return {};
}

// In a write transaction: another process may have taken the step in between.
Result<std::int64_t> take_step(Connection& connection) {
  AVSEAL_TRY(const auto version, connection.number("PRAGMA user_version"));
  AVSEAL_CHECK(check_ours(connection, version));
  if (version == schema_version) return version;
  AVSEAL_CHECK(connection.execute(steps[static_cast<std::size_t>(version)]));
  AVSEAL_CHECK(connection.execute(fmt::format("PRAGMA user_version = {}", version + 1).c_str()));
  return version + 1;
}

}  // namespace

Result<void> migrate(Connection& connection) {
  std::int64_t version = -1;
  while (version != schema_version) {
    AVSEAL_CHECK(connection.execute("BEGIN IMMEDIATE"));
    auto step = take_step(connection);
    AVSEAL_CHECK(connection.execute(step ? "COMMIT" : "ROLLBACK"));
    if (!step) return step.error();
    version = *step;
  }
  return {};
}

}  // namespace avseal::store
