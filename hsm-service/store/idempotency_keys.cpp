#include "store/aggregates.hpp"
#include "store/errors.hpp"
#include "tokens/digest.hpp"

namespace avseal::store {

namespace {

constexpr std::int64_t max_keys_of_client = 250'000;
constexpr std::int64_t max_keys = 1'000'000;
// Processes that share the file may differ so much in their clocks before one forgets what another still needs.
constexpr UnixSeconds forget_margin = 30;
// Deleted by each new attempt, so that expiry keeps pace with the attempts and never takes the writer for long.
constexpr std::int64_t forgotten_per_attempt = 2;

// The columns of a row but its number and its seal.
struct Row {
  std::string key;
  std::string client;
  Bytes request;
  std::int64_t attempt = 0;
  UnixSeconds busy_until = 0;
  UnixSeconds expires = 0;
  std::string answer;
};

RowBytes row_bytes(const Row& row) {
  RowBytes bytes("idempotency_key");
  bytes.add(row.key).add(row.client).add(ByteView(row.request)).add(row.attempt).add(row.busy_until).add(row.expires);
  bytes.add(row.answer);
  return bytes;
}

std::int64_t random_number() {
  std::int64_t out = 0;
  for (const auto byte : tokens::random_bytes(sizeof out - 1)) out = out << 8 | byte;
  return out;
}

class SqliteIdempotencyKeys final : public IdempotencyKeys {
 public:
  SqliteIdempotencyKeys(Database& database, const RowSeal& seal) : database_(database), seal_(seal) {}

  Async<IdempotencyState> begin(IdempotencyRequest request) override {
    return database_.write([this, request = std::move(request)](Connection& c) { return take(c, request); });
  }
  Async<void> complete(std::string key, std::int64_t attempt, std::string answer) override {
    return database_.write([this, key = std::move(key), attempt, answer = std::move(answer)](Connection& c) {
      return finish(c, key, attempt, answer);
    });
  }
  Async<void> abandon(std::string key, std::int64_t attempt) override {
    return database_.write([key = std::move(key), attempt](Connection& c) -> Result<void> {
      AVSEAL_CHECK(c.run("DELETE FROM idempotency_key WHERE key = ? AND attempt = ? AND answer = ''", key, attempt));
      return {};
    });
  }

 private:
  Result<std::optional<Row>> read(Connection& c, const std::string& key) const;
  Result<void> write(Connection& c, const Row& row) const;
  Result<IdempotencyState> take(Connection& c, const IdempotencyRequest& request) const;
  Result<void> finish(Connection& c, const std::string& key, std::int64_t attempt, const std::string& answer) const;

  Database& database_;
  const RowSeal& seal_;
};

// A forged row is an error: its absence would allow a second signature.
Result<std::optional<Row>> SqliteIdempotencyKeys::read(Connection& c, const std::string& key) const {
  AVSEAL_TRY(auto found, c.query("SELECT rowid, * FROM idempotency_key WHERE key = ?", key));
  AVSEAL_TRY(const bool any, found.step());
  if (!any) return std::optional<Row>();
  Row row{found.text(1),    found.text(2),    found.blob(3), found.integer(4),
          found.integer(5), found.integer(6), found.text(7)};
  if (!seal_.holds(row_bytes(row), found.blob(8), found.integer(0))) return errors::forged("idempotency_key");
  return std::optional(std::move(row));
}

Result<void> SqliteIdempotencyKeys::write(Connection& c, const Row& row) const {
  AVSEAL_CHECK(c.run(
      "INSERT INTO idempotency_key VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (key) DO UPDATE SET request = "
      "excluded.request, attempt = excluded.attempt, busy_until = excluded.busy_until, expires = excluded.expires, "
      "answer = excluded.answer, seal = excluded.seal",
      row.key, row.client, ByteView(row.request), row.attempt, row.busy_until, row.expires, row.answer,
      ByteView(seal_.of(row_bytes(row)))));
  return {};
}

Result<void> check_room(Connection& c, const std::string& client) {
  AVSEAL_TRY(auto counts, c.query("SELECT client, live FROM idempotency_count WHERE client IN ('', ?)", client));
  AVSEAL_TRY(bool more, counts.step());
  while (more) {
    const bool full = counts.integer(1) >= (counts.text(0).empty() ? max_keys : max_keys_of_client);
    if (full) return errors::idempotency_keys_exhausted();
    AVSEAL_TRY(more, counts.step());
  }
  return {};
}

Result<IdempotencyState> SqliteIdempotencyKeys::take(Connection& c, const IdempotencyRequest& request) const {
  using Kind = IdempotencyState::Kind;
  AVSEAL_CHECK(forget_idempotency_keys(c, request.now, forgotten_per_attempt));
  AVSEAL_TRY(const auto known, read(c, request.key));
  // Under the row key, so that nobody can tell from the file whether a guessed request is the one.
  auto digest = seal_.of(RowBytes("idempotency_key.request").add(request.key).add(request.digest));
  const bool same = known && known->request == digest;
  if (known && known->expires >= request.now) {
    if (!same) return IdempotencyState{Kind::other_request, 0, {}, 0};
    if (!known->answer.empty()) return IdempotencyState{Kind::completed, 0, known->answer, 0};
    if (known->busy_until >= request.now) return IdempotencyState{Kind::in_progress, 0, {}, known->busy_until};
  }
  if (!known) {
    AVSEAL_CHECK(check_room(c, request.client));
  }
  const Row row{request.key,
                known ? known->client : request.client,
                std::move(digest),
                random_number(),
                request.busy_until,
                request.expires,
                {}};
  AVSEAL_CHECK(write(c, row));
  return IdempotencyState{Kind::begun, row.attempt, {}, 0};
}

Result<void> SqliteIdempotencyKeys::finish(Connection& c, const std::string& key, std::int64_t attempt,
                                           const std::string& answer) const {
  AVSEAL_TRY(auto row, read(c, key));
  if (!row || row->attempt != attempt || !row->answer.empty()) return errors::idempotency_attempt_lost();
  row->answer = answer;
  return write(c, *row);
}

}  // namespace

Result<void> forget_idempotency_keys(Connection& connection, UnixSeconds now, std::int64_t most) {
  AVSEAL_CHECK(connection.run(
      "DELETE FROM idempotency_key WHERE rowid IN (SELECT rowid FROM idempotency_key WHERE expires < ? ORDER BY "
      "expires LIMIT ?)",
      now - forget_margin, most));
  return {};
}

std::unique_ptr<IdempotencyKeys> make_idempotency_keys(Database& database, const RowSeal& seal) {
  return std::make_unique<SqliteIdempotencyKeys>(database, seal);
}

}  // namespace avseal::store
