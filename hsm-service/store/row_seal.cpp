#include "store/row_seal.hpp"

#include <array>
#include <string>

#include <spdlog/spdlog.h>

#include "tokens/digest.hpp"

namespace avseal::store {

namespace {

std::array<std::uint8_t, 8> big_endian(std::uint64_t value) {
  std::array<std::uint8_t, 8> out{};
  for (std::size_t i = out.size(); i-- > 0; value >>= 8) out[i] = static_cast<std::uint8_t>(value & 0xff);
  return out;
}

}  // namespace

RowBytes& RowBytes::add(std::int64_t value) {
  add('i', big_endian(static_cast<std::uint64_t>(value)));
  return *this;
}

RowBytes& RowBytes::add(std::string_view value) {
  add('t', as_bytes(value));
  return *this;
}

RowBytes& RowBytes::add(ByteView value) {
  add('b', value);
  return *this;
}

void RowBytes::add(char kind, ByteView value) {
  bytes_.push_back(static_cast<std::uint8_t>(kind));
  const auto length = big_endian(value.size());
  bytes_.insert(bytes_.end(), length.begin(), length.end());
  bytes_.insert(bytes_.end(), value.begin(), value.end());
}

RowSeal::RowSeal(Secret key, prometheus::Registry& metrics)
    : key_(std::move(key)),
      forged_(prometheus::BuildCounter()
                  .Name("avseal_store_rows_forged_total")
                  .Help("Rows that were not written by this service.")
                  .Register(metrics)) {}

Bytes RowSeal::of(const RowBytes& row) const {
  const auto seal = tokens::hmac_sha256(key_.reveal(), row.bytes());
  return {seal.begin(), seal.end()};
}

bool RowSeal::holds(const RowBytes& row, ByteView seal, std::int64_t rowid) const {
  if (tokens::equal_constant_time(of(row), seal)) return true;
  report(row.table(), rowid);
  return false;
}

void RowSeal::report(std::string_view table, std::int64_t rowid) const {
  forged_.Add({{"table", std::string(table)}}).Increment();
  spdlog::error("store-row-forged: row {} of table {} was not written by this service and is ignored", rowid, table);
}

}  // namespace avseal::store
