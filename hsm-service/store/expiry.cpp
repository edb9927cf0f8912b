#include "store/aggregates.hpp"

namespace avseal::store {

namespace {

// Clocks of processes that share the file, and steps of one clock, stay well below.
constexpr UnixSeconds purge_margin = 600;
// A signed Avatar-id is too old for a grant long before its call's state is forgotten.
constexpr UnixSeconds call_memory = 7 * 24 * 3600;
// Each new attempt forgets some too; what it leaves may take several turns.
constexpr std::int64_t idempotency_keys_per_turn = 10'000;

}  // namespace

Result<void> purge_expired(Connection& connection, UnixSeconds now) {
  AVSEAL_CHECK(connection.run("DELETE FROM enrolment_code WHERE expires < ?", now - purge_margin));
  AVSEAL_CHECK(connection.run("DELETE FROM call WHERE changed_at < ?", now - call_memory));
  AVSEAL_CHECK(connection.run("DELETE FROM replay WHERE expires < ?", now - purge_margin));
  return forget_idempotency_keys(connection, now, idempotency_keys_per_turn);
}

}  // namespace avseal::store
