// SQLite's C API as far as the store needs it. A connection and what it gives are used on one thread at a time.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "tokens/bytes.hpp"
#include "tokens/result.hpp"

struct sqlite3;
struct sqlite3_stmt;

namespace avseal::store {

// A running statement; reset when it dies, so that its cached form can be used again.
class Query {
 public:
  Query(sqlite3* db, sqlite3_stmt* statement) noexcept : db_(db), statement_(statement) {}
  Query(Query&& other) noexcept;
  Query& operator=(Query&&) = delete;
  ~Query();

  void bind(int parameter, std::int64_t value);
  void bind(int parameter, std::string_view value);
  void bind(int parameter, ByteView value);

  Result<bool> step();  // true: a row is there
  [[nodiscard]] std::int64_t integer(int column) const;
  [[nodiscard]] std::string text(int column) const;
  [[nodiscard]] Bytes blob(int column) const;

 private:
  sqlite3* db_;
  sqlite3_stmt* statement_;
  int bound_ = 0;  // first failure of bind()
};

// Every error is "store-unavailable" with SQLite's message.
class Connection {
 public:
  // An existing file. Sets WAL, synchronous=FULL, foreign keys, secure deletion and a busy timeout, and reads back that
  // they hold.
  static Result<Connection> open(const std::filesystem::path& file);

  // sql: one statement, bound to the values in order.
  template <class... Values>
  Result<Query> query(std::string_view sql, const Values&... values) {
    AVSEAL_TRY(auto query, prepare(sql));
    [[maybe_unused]] int parameter = 0;
    (query.bind(++parameter, values), ...);
    return query;
  }

  // Runs it to its end; gives the number of rows changed.
  template <class... Values>
  Result<std::int64_t> run(std::string_view sql, const Values&... values) {
    AVSEAL_TRY(auto query, this->query(sql, values...));
    return finish(query);
  }

  // The only column of the first row.
  Result<std::int64_t> number(std::string_view sql);
  Result<void> execute(const char* sql);  // several statements, without values
  [[nodiscard]] bool in_transaction() const;

 private:
  struct Close {
    void operator()(sqlite3* db) const noexcept;
  };
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const noexcept;
  };

  explicit Connection(sqlite3* db) noexcept : db_(db) {}
  Result<void> configure();
  Result<Query> prepare(std::string_view sql);
  Result<std::int64_t> finish(Query& query);

  std::unique_ptr<sqlite3, Close> db_;
  std::map<std::string, std::unique_ptr<sqlite3_stmt, Finalize>, std::less<>> statements_;
};

}  // namespace avseal::store
