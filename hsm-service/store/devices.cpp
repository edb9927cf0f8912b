#include "store/aggregates.hpp"
#include "store/errors.hpp"

namespace avseal::store {

namespace {

RowBytes row_bytes(const Device& device, std::string_view impu) {
  RowBytes row("device");
  row.add(device.certificate_x5t).add(impu).add(device.serial_hex).add(device.not_after);
  row.add(std::int64_t{device.revoked});
  return row;
}

class SqliteDevices final : public Devices {
 public:
  SqliteDevices(Database& database, const RowSeal& seal) : database_(database), seal_(seal) {}

  Async<void> add(Device device) override {
    return database_.write([this, d = std::move(device)](Connection& c) -> Result<void> {
      AVSEAL_TRY(const auto added, write(c, "INSERT OR IGNORE INTO device VALUES (?, ?, ?, ?, ?, ?)", d));
      if (added == 0) return errors::device_exists();
      return {};
    });
  }
  Async<std::optional<Device>> find(std::string certificate_x5t) override {
    return database_.read([this, x5t = std::move(certificate_x5t)](Connection& c) { return read(c, x5t); });
  }
  Async<bool> revoke(std::string certificate_x5t) override {
    return database_.write([this, x5t = std::move(certificate_x5t)](Connection& c) -> Result<bool> {
      AVSEAL_TRY(auto device, read(c, x5t));
      if (!device) return false;
      device->revoked = true;
      AVSEAL_CHECK(write(c, "INSERT OR REPLACE INTO device VALUES (?, ?, ?, ?, ?, ?)", *device));
      return true;
    });
  }

 private:
  Result<std::optional<Device>> read(Connection& c, const std::string& x5t) const;
  Result<std::int64_t> write(Connection& c, std::string_view sql, const Device& device) const;

  Database& database_;
  const RowSeal& seal_;
};

// A forged row is an error here, not an absent device: absence may grant what a revoked device may not have.
Result<std::optional<Device>> SqliteDevices::read(Connection& c, const std::string& x5t) const {
  AVSEAL_TRY(auto row, c.query("SELECT rowid, * FROM device WHERE certificate_x5t = ?", x5t));
  AVSEAL_TRY(const bool found, row.step());
  if (!found) return std::optional<Device>();
  const auto impu_text = row.text(2);
  auto impu = tokens::Impu::parse(impu_text);
  if (!impu) {
    seal_.report("device", row.integer(0));
    return errors::forged("device");
  }
  Device device{row.text(1), std::move(*impu), row.text(3), row.integer(4), row.integer(5) != 0};
  if (!seal_.holds(row_bytes(device, impu_text), row.blob(6), row.integer(0))) return errors::forged("device");
  return std::optional(std::move(device));
}

Result<std::int64_t> SqliteDevices::write(Connection& c, std::string_view sql, const Device& device) const {
  const auto& impu = device.impu.canonical();
  return c.run(sql, device.certificate_x5t, impu, device.serial_hex, device.not_after, std::int64_t{device.revoked},
               ByteView(seal_.of(row_bytes(device, impu))));
}

}  // namespace

std::unique_ptr<Devices> make_devices(Database& database, const RowSeal& seal) {
  return std::make_unique<SqliteDevices>(database, seal);
}

}  // namespace avseal::store
