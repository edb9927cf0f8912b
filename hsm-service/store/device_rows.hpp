#pragma once

#include "store/records.hpp"
#include "store/row_seal.hpp"
#include "store/sqlite.hpp"

namespace avseal::store {

// Rows of the tables device, device_identity and device_revocation, inside somebody's transaction. A forged row is an
// error: absence may grant what a revoked device may not have.
class DeviceRows {
 public:
  explicit DeviceRows(const RowSeal& seal) : seal_(seal) {}

  [[nodiscard]] Result<std::optional<Device>> find(Connection& c, std::string_view id) const;
  [[nodiscard]] Result<std::vector<Device>> list(Connection& c, const DeviceQuery& query) const;
  [[nodiscard]] Result<void> put(Connection& c, Device device) const;  // "device-changed"

  [[nodiscard]] Result<std::vector<tokens::Impu>> identities(Connection& c, std::string_view id) const;
  [[nodiscard]] Result<std::vector<std::string>> devices_of(Connection& c, const tokens::Impu& impu) const;
  [[nodiscard]] Result<void> bind(Connection& c, std::string_view id, const tokens::Impu& impu) const;

  [[nodiscard]] Result<std::vector<DeviceRevocation>> revocations(Connection& c) const;
  [[nodiscard]] Result<void> put_revocation(Connection& c, const DeviceRevocation& revocation) const;

 private:
  [[nodiscard]] Result<std::vector<Device>> read(Query rows) const;

  const RowSeal& seal_;
};

}  // namespace avseal::store
