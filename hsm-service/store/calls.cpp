#include <array>

#include "store/aggregates.hpp"
#include "store/errors.hpp"

namespace avseal::store {

namespace {

constexpr std::array<CallState, 3> states = {CallState::accepted, CallState::avatar_rejected, CallState::ended};

std::optional<CallState> parse_state(std::string_view text) {
  for (const auto state : states) {
    if (text == to_string(state)) return state;
  }
  return std::nullopt;
}

RowBytes row_bytes(std::string_view origid, std::string_view state, std::string_view client, UnixSeconds changed_at) {
  RowBytes row("call");
  row.add(origid).add(state).add(client).add(changed_at);
  return row;
}

class SqliteCallStates final : public CallStates {
 public:
  SqliteCallStates(Database& database, const RowSeal& seal) : database_(database), seal_(seal) {}

  Async<void> put(Call call) override {
    return database_.write([this, call = std::move(call)](Connection& c) { return replace(c, call); });
  }
  Async<std::optional<Call>> find(std::string origid) override {
    return database_.read([this, origid = std::move(origid)](Connection& c) { return read(c, origid); });
  }

 private:
  Result<std::optional<Call>> read(Connection& c, const std::string& origid) const;
  Result<void> replace(Connection& c, const Call& call) const;

  Database& database_;
  const RowSeal& seal_;
};

// A forged row is an error here, not an absent call: absence may grant what a rejected call may not have.
Result<std::optional<Call>> SqliteCallStates::read(Connection& c, const std::string& origid) const {
  AVSEAL_TRY(auto row,
             c.query("SELECT rowid, origid, state, client, changed_at, seal FROM call WHERE origid = ?", origid));
  AVSEAL_TRY(const bool found, row.step());
  if (!found) return std::optional<Call>();
  const auto text = row.text(2);
  const auto state = parse_state(text);
  Call call{row.text(1), state.value_or(CallState::ended), row.text(3), row.integer(4)};
  const bool genuine =
      seal_.holds(row_bytes(call.origid, text, call.client, call.changed_at), row.blob(5), row.integer(0));
  if (!genuine || !state) return errors::forged("call");
  return std::optional(std::move(call));
}

Result<void> SqliteCallStates::replace(Connection& c, const Call& call) const {
  AVSEAL_TRY(const auto current, read(c, call.origid));
  if (current && current->client != call.client) return errors::call_other_client(call.origid);
  if (current && current->state == CallState::ended) {
    if (call.state == CallState::ended) return {};
    return errors::call_ended(call.origid);
  }
  const auto state = to_string(call.state);
  AVSEAL_CHECK(c.run("INSERT OR REPLACE INTO call (origid, state, client, changed_at, seal) VALUES (?, ?, ?, ?, ?)",
                     call.origid, state, call.client, call.changed_at,
                     ByteView(seal_.of(row_bytes(call.origid, state, call.client, call.changed_at)))));
  return {};
}

}  // namespace

std::string_view to_string(CallState state) {
  switch (state) {
    case CallState::accepted:
      return "accepted";
    case CallState::avatar_rejected:
      return "avatar-rejected";
    case CallState::ended:
      return "ended";
  }
  return "";
}

std::unique_ptr<CallStates> make_call_states(Database& database, const RowSeal& seal) {
  return std::make_unique<SqliteCallStates>(database, seal);
}

}  // namespace avseal::store
