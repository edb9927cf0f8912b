#include <algorithm>
#include <array>

#include "store/aggregates.hpp"
#include "store/errors.hpp"

namespace avseal::store {

namespace {

constexpr std::array<KeyState, 4> states = {KeyState::staged, KeyState::active, KeyState::verifying, KeyState::retired};

RowBytes row_bytes(const KeyStateRow& row, std::int64_t revision) {
  RowBytes bytes("key_state");
  bytes.add(row.name).add(row.kind).add(to_string(row.state)).add(row.since).add(row.actor).add(row.reason);
  bytes.add(revision);
  return bytes;
}

class SqliteKeyStates final : public KeyStates {
 public:
  SqliteKeyStates(Database& database, const RowSeal& seal) : database_(database), seal_(seal) {}

  Async<KeyStateTable> all() override {
    return database_.read([this](Connection& c) { return read(c); });
  }
  Async<void> change(std::vector<KeyStateRow> rows, std::int64_t revision) override {
    return database_.write(
        [this, rows = std::move(rows), revision](Connection& c) { return write(c, rows, revision); });
  }

 private:
  Result<KeyStateTable> read(Connection& c) const;
  Result<void> write(Connection& c, const std::vector<KeyStateRow>& rows, std::int64_t revision) const;

  Database& database_;
  const RowSeal& seal_;
};

// A forged row is an error: another state may sign with the wrong key.
Result<KeyStateTable> SqliteKeyStates::read(Connection& c) const {
  AVSEAL_TRY(auto found, c.query("SELECT rowid, * FROM key_state ORDER BY name"));
  KeyStateTable table;
  for (;;) {
    AVSEAL_TRY(const bool any, found.step());
    if (!any) return table;
    const auto state = parse_key_state(found.text(3));
    KeyStateRow row{found.text(1),    found.text(2), state.value_or(KeyState::retired),
                    found.integer(4), found.text(5), found.text(6)};
    const auto revision = found.integer(7);
    if (!state || !seal_.holds(row_bytes(row, revision), found.blob(8), found.integer(0))) {
      return errors::forged("key_state");
    }
    table.revision = std::max(table.revision, revision);
    table.rows.push_back(std::move(row));
  }
}

Result<void> SqliteKeyStates::write(Connection& c, const std::vector<KeyStateRow>& rows, std::int64_t revision) const {
  AVSEAL_TRY(const auto current, read(c));
  if (current.revision != revision) return errors::key_states_changed();
  for (const auto& row : rows) {
    AVSEAL_CHECK(c.run("INSERT OR REPLACE INTO key_state VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row.name, row.kind,
                       to_string(row.state), row.since, row.actor, row.reason, revision + 1,
                       ByteView(seal_.of(row_bytes(row, revision + 1)))));
  }
  return {};
}

}  // namespace

std::string_view to_string(KeyState state) {
  switch (state) {
    case KeyState::staged:
      return "staged";
    case KeyState::active:
      return "active";
    case KeyState::verifying:
      return "verifying";
    case KeyState::retired:
      return "retired";
  }
  return "";
}

std::optional<KeyState> parse_key_state(std::string_view text) {
  for (const auto state : states) {
    if (text == to_string(state)) return state;
  }
  return std::nullopt;
}

std::unique_ptr<KeyStates> make_key_states(Database& database, const RowSeal& seal) {
  return std::make_unique<SqliteKeyStates>(database, seal);
}

}  // namespace avseal::store
