#include "store/aggregates.hpp"
#include "store/errors.hpp"

namespace avseal::store {

namespace {

RowBytes row_bytes(const OperatorState& row) {
  RowBytes bytes("operator_state");
  bytes.add(row.kind).add(row.name).add(row.state);
  return bytes;
}

class SqliteOperatorStates final : public OperatorStates {
 public:
  SqliteOperatorStates(Database& database, const RowSeal& seal) : database_(database), seal_(seal) {}

  Async<void> put(OperatorState state) override {
    return database_.write([this, row = std::move(state)](Connection& c) -> Result<void> {
      AVSEAL_CHECK(c.run("INSERT OR REPLACE INTO operator_state (kind, name, state, seal) VALUES (?, ?, ?, ?)",
                         row.kind, row.name, row.state, ByteView(seal_.of(row_bytes(row)))));
      return {};
    });
  }
  Async<std::vector<OperatorState>> all(std::string kind) override {
    return database_.read([this, kind = std::move(kind)](Connection& c) { return read(c, kind); });
  }

 private:
  Result<std::vector<OperatorState>> read(Connection& c, const std::string& kind) const;

  Database& database_;
  const RowSeal& seal_;
};

Result<std::vector<OperatorState>> SqliteOperatorStates::read(Connection& c, const std::string& kind) const {
  AVSEAL_TRY(auto rows,
             c.query("SELECT rowid, kind, name, state, seal FROM operator_state WHERE kind = ? ORDER BY name", kind));
  std::vector<OperatorState> all;
  for (;;) {
    AVSEAL_TRY(const bool found, rows.step());
    if (!found) return all;
    OperatorState row{rows.text(1), rows.text(2), rows.text(3)};
    if (!seal_.holds(row_bytes(row), rows.blob(4), rows.integer(0))) return errors::forged("operator_state");
    all.push_back(std::move(row));
  }
}

}  // namespace

std::unique_ptr<OperatorStates> make_operator_states(Database& database, const RowSeal& seal) {
  return std::make_unique<SqliteOperatorStates>(database, seal);
}

}  // namespace avseal::store
