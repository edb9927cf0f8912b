#include "store/sqlite.hpp"

#include <sqlite3.h>

#include "store/errors.hpp"

namespace avseal::store {

namespace {

constexpr int busy_timeout_ms = 2000;

Error failure(sqlite3* db, std::string_view what) {
  return errors::unavailable(fmt::format("{}: {} ({})", what, sqlite3_errmsg(db), sqlite3_extended_errcode(db)));
}

}  // namespace

Query::Query(Query&& other) noexcept
    : db_(other.db_), statement_(std::exchange(other.statement_, nullptr)), bound_(other.bound_) {}

Query::~Query() {
  if (statement_ == nullptr) return;
  sqlite3_reset(statement_);
  sqlite3_clear_bindings(statement_);
}

void Query::bind(int parameter, std::int64_t value) {
  const int rc = sqlite3_bind_int64(statement_, parameter, value);
  if (bound_ == SQLITE_OK) bound_ = rc;
}

void Query::bind(int parameter, std::string_view value) {
  const int rc = sqlite3_bind_text64(statement_, parameter, value.empty() ? "" : value.data(), value.size(),
                                     SQLITE_TRANSIENT, SQLITE_UTF8);
  if (bound_ == SQLITE_OK) bound_ = rc;
}

void Query::bind(int parameter, ByteView value) {
  const void* data = value.empty() ? static_cast<const void*>("") : value.data();
  const int rc = sqlite3_bind_blob64(statement_, parameter, data, value.size(), SQLITE_TRANSIENT);
  if (bound_ == SQLITE_OK) bound_ = rc;
}

Result<bool> Query::step() {
  if (bound_ != SQLITE_OK) return errors::unavailable(fmt::format("cannot bind a value: {}", sqlite3_errstr(bound_)));
  const int rc = sqlite3_step(statement_);
  if (rc == SQLITE_ROW) return true;
  if (rc == SQLITE_DONE) return false;
  return failure(db_, sqlite3_sql(statement_));
}

std::int64_t Query::integer(int column) const {
  return sqlite3_column_int64(statement_, column);
}

std::string Query::text(int column) const {
  const auto bytes = blob(column);
  return std::string(as_text(bytes));
}

Bytes Query::blob(int column) const {
  const auto* data = static_cast<const std::uint8_t*>(sqlite3_column_blob(statement_, column));
  if (data == nullptr) return {};
  return {data, data + sqlite3_column_bytes(statement_, column)};
}

void Connection::Close::operator()(sqlite3* db) const noexcept {
  sqlite3_close_v2(db);
}
void Connection::Finalize::operator()(sqlite3_stmt* statement) const noexcept {
  sqlite3_finalize(statement);
}

Result<Connection> Connection::open(const std::filesystem::path& file) {
  sqlite3* db = nullptr;
  const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW;
  const int rc = sqlite3_open_v2(std::filesystem::absolute(file).c_str(), &db, flags, nullptr);
  Connection connection(db);
  if (rc != SQLITE_OK) {
    return errors::unavailable(fmt::format("cannot open {}: {}", file.string(), sqlite3_errstr(rc)));
  }
  sqlite3_extended_result_codes(db, 1);
  sqlite3_busy_timeout(db, busy_timeout_ms);
  if (auto configured = connection.configure(); !configured) {
    Error error = configured.error();
    error.detail = fmt::format("{}: {}", file.string(), error.detail);
    return error;
  }
  return connection;
}

Result<void> Connection::configure() {
  AVSEAL_CHECK(
      execute("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON; PRAGMA secure_delete=ON; "
              "PRAGMA trusted_schema=OFF"));
  AVSEAL_TRY(auto mode, query("PRAGMA journal_mode"));
  AVSEAL_TRY(const bool known, mode.step());
  if (!known || mode.text(0) != "wal") {
    return errors::unavailable("expected journal_mode wal; put the store on a local filesystem");
  }
  AVSEAL_TRY(const auto synchronous, number("PRAGMA synchronous"));
  AVSEAL_TRY(const auto foreign_keys, number("PRAGMA foreign_keys"));
  AVSEAL_TRY(const auto secure_delete, number("PRAGMA secure_delete"));
  if (synchronous != 2 || foreign_keys != 1 || secure_delete != 1) {
    return errors::unavailable(
        fmt::format("expected synchronous 2, foreign_keys 1, secure_delete 1, found {}, {}, {}; "
                    "use Debian's SQLite",
                    synchronous, foreign_keys, secure_delete));
  }
  return {};
}

Result<Query> Connection::prepare(std::string_view sql) {
  if (const auto known = statements_.find(sql); known != statements_.end())
    return Query(db_.get(), known->second.get());
  sqlite3_stmt* statement = nullptr;
  const int rc = sqlite3_prepare_v3(db_.get(), sql.data(), static_cast<int>(sql.size()), SQLITE_PREPARE_PERSISTENT,
                                    &statement, nullptr);
  if (rc != SQLITE_OK) return failure(db_.get(), sql);
  statements_.emplace(std::string(sql), statement);
  return Query(db_.get(), statement);
}

Result<std::int64_t> Connection::finish(Query& query) {
  bool more = true;
  while (more) {
    AVSEAL_TRY(more, query.step());
  }
  return std::int64_t{sqlite3_changes64(db_.get())};
}

Result<std::int64_t> Connection::number(std::string_view sql) {
  AVSEAL_TRY(auto query, prepare(sql));
  AVSEAL_TRY(const bool row, query.step());
  if (!row) return errors::unavailable(fmt::format("{}: no row", sql));
  return query.integer(0);
}

Result<void> Connection::execute(const char* sql) {
  if (sqlite3_exec(db_.get(), sql, nullptr, nullptr, nullptr) != SQLITE_OK) return failure(db_.get(), sql);
  return {};
}

bool Connection::in_transaction() const {
  return sqlite3_get_autocommit(db_.get()) == 0;
}

}  // namespace avseal::store
