#pragma once

#include "store/records.hpp"
#include "store/row_seal.hpp"
#include "store/sqlite.hpp"

namespace avseal::store {

// Rows of the table ue_certificate, inside somebody's transaction.
class UeCertificateRows {
 public:
  explicit UeCertificateRows(const RowSeal& seal) : seal_(seal) {}

  // A forged row is an error, not an absent certificate: absence may grant what a revoked one may not have.
  [[nodiscard]] Result<std::optional<UeCertificate>> find(Connection& c, std::string_view x5t) const;
  [[nodiscard]] Result<std::vector<UeCertificate>> of_device(Connection& c, std::string_view device,
                                                             std::int64_t most) const;
  [[nodiscard]] Result<std::vector<UeCertificate>> revoked(Connection& c, UnixSeconds now, std::int64_t most) const;

  [[nodiscard]] Result<bool> add(Connection& c, const UeCertificate& certificate) const;  // false: is there already
  [[nodiscard]] Result<void> replace(Connection& c, const UeCertificate& certificate) const;

  // Those of the device that were still good at `at`, or of one identity only; gives their number.
  [[nodiscard]] Result<std::int64_t> revoke_of_device(Connection& c, std::string_view device, const tokens::Impu* impu,
                                                      UnixSeconds at, RevocationCause cause) const;

 private:
  [[nodiscard]] Result<std::vector<UeCertificate>> read(Query rows) const;
  [[nodiscard]] Result<std::int64_t> write(Connection& c, std::string_view sql, const UeCertificate& certificate) const;

  const RowSeal& seal_;
};

}  // namespace avseal::store
