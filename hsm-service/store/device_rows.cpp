#include "store/device_rows.hpp"

#include <array>

#include "store/errors.hpp"

namespace avseal::store {

namespace {

constexpr std::array<DeviceState, 3> states = {DeviceState::pending, DeviceState::active, DeviceState::revoked};

RowBytes row_bytes(const Device& row, std::string_view state) {
  RowBytes bytes("device");
  bytes.add(row.id).add(row.serial_sha256).add(row.maker).add(row.model).add(row.batch).add(row.tpm);
  bytes.add(row.firmware).add(row.ak_name).add(row.ak_since).add(state).add(row.why);
  bytes.add(row.life.reset_count).add(row.life.restart_count).add(row.life.clock);
  bytes.add(row.first_seen).add(row.last_seen).add(row.revision);
  return bytes;
}

RowBytes identity_bytes(std::string_view device, std::string_view impu) {
  RowBytes bytes("device_identity");
  bytes.add(device).add(impu);
  return bytes;
}

RowBytes revocation_bytes(const DeviceRevocation& row, std::string_view kind) {
  RowBytes bytes("device_revocation");
  bytes.add(kind).add(row.value).add(row.scope).add(row.reason).add(row.actor).add(row.since);
  return bytes;
}

}  // namespace

std::string_view to_string(DeviceState state) {
  switch (state) {
    case DeviceState::pending:
      return "pending";
    case DeviceState::active:
      return "active";
    case DeviceState::revoked:
      return "revoked";
  }
  return "";
}

std::optional<DeviceState> parse_device_state(std::string_view text) {
  for (const auto state : states) {
    if (text == to_string(state)) return state;
  }
  return std::nullopt;
}

Result<std::vector<Device>> DeviceRows::read(Query rows) const {
  std::vector<Device> all;
  for (;;) {
    AVSEAL_TRY(const bool found, rows.step());
    if (!found) return all;
    const auto state_text = rows.text(10);
    const auto state = parse_device_state(state_text);
    Device row{.id = rows.text(1),
               .serial_sha256 = rows.text(2),
               .maker = rows.text(3),
               .model = rows.text(4),
               .batch = rows.text(5),
               .tpm = rows.text(6),
               .firmware = rows.text(7),
               .ak_name = rows.text(8),
               .ak_since = rows.integer(9),
               .state = state.value_or(DeviceState::revoked),
               .why = rows.text(11),
               .life = {rows.integer(12), rows.integer(13), rows.integer(14)},
               .first_seen = rows.integer(15),
               .last_seen = rows.integer(16),
               .revision = rows.integer(17)};
    if (!seal_.holds(row_bytes(row, state_text), rows.blob(18), rows.integer(0))) return errors::forged("device");
    all.push_back(std::move(row));
  }
}

Result<std::optional<Device>> DeviceRows::find(Connection& c, std::string_view id) const {
  AVSEAL_TRY(auto rows, c.query("SELECT rowid, * FROM device WHERE id = ?", id));
  AVSEAL_TRY(auto found, read(std::move(rows)));
  if (found.empty()) return std::optional<Device>();
  return std::optional(std::move(found.front()));
}

Result<std::vector<Device>> DeviceRows::list(Connection& c, const DeviceQuery& query) const {
  const std::string_view state = query.state ? to_string(*query.state) : std::string_view();
  AVSEAL_TRY(auto rows, c.query("SELECT rowid, * FROM device WHERE id > ?1 AND (?2 = '' OR state = ?2) AND "
                                "(?3 = '' OR batch = ?3) AND (?4 = '' OR model = ?4) ORDER BY id LIMIT ?5",
                                query.after, state, query.batch, query.model, query.limit));
  return read(std::move(rows));
}

Result<void> DeviceRows::put(Connection& c, Device device) const {
  AVSEAL_TRY(const auto current, find(c, device.id));
  if ((current ? current->revision : 0) != device.revision) return errors::device_changed();
  ++device.revision;
  const auto state = to_string(device.state);
  AVSEAL_CHECK(c.run("INSERT OR REPLACE INTO device VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                     device.id, device.serial_sha256, device.maker, device.model, device.batch, device.tpm,
                     device.firmware, device.ak_name, device.ak_since, state, device.why, device.life.reset_count,
                     device.life.restart_count, device.life.clock, device.first_seen, device.last_seen, device.revision,
                     ByteView(seal_.of(row_bytes(device, state)))));
  return {};
}

Result<std::vector<tokens::Impu>> DeviceRows::identities(Connection& c, std::string_view id) const {
  AVSEAL_TRY(auto rows, c.query("SELECT rowid, impu, seal FROM device_identity WHERE device = ? ORDER BY impu", id));
  std::vector<tokens::Impu> all;
  for (;;) {
    AVSEAL_TRY(const bool found, rows.step());
    if (!found) return all;
    const auto text = rows.text(1);
    auto impu = tokens::Impu::parse(text);
    if (!seal_.holds(identity_bytes(id, text), rows.blob(2), rows.integer(0)) || !impu) continue;
    all.push_back(std::move(*impu));
  }
}

// Forged ones are those of no device here: a binding that was made up must not keep the identity's own device out.
Result<std::vector<std::string>> DeviceRows::devices_of(Connection& c, const tokens::Impu& impu) const {
  const auto& text = impu.canonical();
  AVSEAL_TRY(auto rows, c.query("SELECT rowid, device, seal FROM device_identity WHERE impu = ?", text));
  std::vector<std::string> all;
  for (;;) {
    AVSEAL_TRY(const bool found, rows.step());
    if (!found) return all;
    auto id = rows.text(1);
    if (seal_.holds(identity_bytes(id, text), rows.blob(2), rows.integer(0))) all.push_back(std::move(id));
  }
}

Result<void> DeviceRows::bind(Connection& c, std::string_view id, const tokens::Impu& impu) const {
  const auto& text = impu.canonical();
  AVSEAL_CHECK(c.run("INSERT OR REPLACE INTO device_identity VALUES (?, ?, ?)", id, text,
                     ByteView(seal_.of(identity_bytes(id, text)))));
  return {};
}

Result<std::vector<DeviceRevocation>> DeviceRows::revocations(Connection& c) const {
  AVSEAL_TRY(auto rows, c.query("SELECT rowid, * FROM device_revocation ORDER BY since, kind, value, scope"));
  std::vector<DeviceRevocation> all;
  for (;;) {
    AVSEAL_TRY(const bool found, rows.step());
    if (!found) return all;
    const auto kind_text = rows.text(1);
    const auto kind = parse_revocation_cause(kind_text);
    DeviceRevocation row{
        kind.value_or(RevocationCause::batch), rows.text(2), rows.text(3), rows.text(4), rows.text(5), rows.integer(6)};
    if (!seal_.holds(revocation_bytes(row, kind_text), rows.blob(7), rows.integer(0))) {
      return errors::forged("device_revocation");
    }
    all.push_back(std::move(row));
  }
}

Result<void> DeviceRows::put_revocation(Connection& c, const DeviceRevocation& row) const {
  const auto kind = to_string(row.kind);
  AVSEAL_CHECK(c.run("INSERT OR REPLACE INTO device_revocation VALUES (?, ?, ?, ?, ?, ?, ?)", kind, row.value,
                     row.scope, row.reason, row.actor, row.since, ByteView(seal_.of(revocation_bytes(row, kind)))));
  return {};
}

}  // namespace avseal::store
