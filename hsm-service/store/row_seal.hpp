#pragma once

#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/registry.h>

#include "tokens/bytes.hpp"
#include "tokens/result.hpp"
#include "tokens/secret.hpp"

namespace avseal::store {

// The bytes that a row's seal covers: table name and every column in order, each with its kind and length.
class RowBytes {
 public:
  explicit RowBytes(std::string_view table) : RowBytes(table, table) {}
  // Of a table that was called otherwise when its rows were sealed.
  RowBytes(std::string_view table, std::string_view sealed_as) : table_(table) { add(sealed_as); }
  RowBytes& add(std::int64_t value);
  RowBytes& add(std::string_view value);
  RowBytes& add(ByteView value);
  [[nodiscard]] std::string_view table() const { return table_; }
  [[nodiscard]] ByteView bytes() const { return bytes_; }

 private:
  void add(char kind, ByteView value);
  std::string_view table_;  // a literal
  Bytes bytes_;
};

// HMAC-SHA-256 over rows that grant something, so that a row edited, copied or made in the database alone does not
// count. Thread-safe.
class RowSeal {
 public:
  RowSeal(Secret key, prometheus::Registry& metrics);

  [[nodiscard]] Bytes of(const RowBytes& row) const;
  // Whether the seal holds; if not, that is counted and logged with the row's number.
  [[nodiscard]] bool holds(const RowBytes& row, ByteView seal, std::int64_t rowid) const;
  // For a row whose seal holds, but whose text this program cannot read.
  void report(std::string_view table, std::int64_t rowid) const;

 private:
  const Secret key_;
  prometheus::Family<prometheus::Counter>& forged_;
};

}  // namespace avseal::store
