#include "store/aggregates.hpp"
#include "store/device_rows.hpp"
#include "store/errors.hpp"
#include "store/ue_certificate_rows.hpp"

namespace avseal::store {

namespace {

constexpr std::int64_t most_of_device = 100;

class SqliteUeCertificates final : public UeCertificates {
 public:
  SqliteUeCertificates(Database& database, const RowSeal& seal) : database_(database), rows_(seal), devices_(seal) {}

  Async<void> add(UeCertificate certificate) override {
    return database_.write([this, row = std::move(certificate)](Connection& c) -> Result<void> {
      AVSEAL_TRY(const bool added, rows_.add(c, row));
      if (!added) return errors::ue_certificate_exists();
      return {};
    });
  }
  Async<std::optional<UeCertificate>> find(std::string certificate_x5t) override {
    return database_.read([this, x5t = std::move(certificate_x5t)](Connection& c) { return rows_.find(c, x5t); });
  }
  Async<std::optional<Standing>> standing(std::string certificate_x5t) override {
    return database_.read([this, x5t = std::move(certificate_x5t)](Connection& c) { return standing_of(c, x5t); });
  }
  Async<std::vector<UeCertificate>> of_device(std::string id) override {
    return database_.read([this, id = std::move(id)](Connection& c) { return rows_.of_device(c, id, most_of_device); });
  }
  Async<bool> revoke(std::string certificate_x5t, UnixSeconds now) override {
    return database_.write([this, x5t = std::move(certificate_x5t), now](Connection& c) -> Result<bool> {
      AVSEAL_TRY(auto certificate, rows_.find(c, x5t));
      if (!certificate) return false;
      if (certificate->revoked(now) && certificate->cause != RevocationCause::superseded) return true;
      certificate->revoked_at = now;
      certificate->cause = RevocationCause::certificate;
      AVSEAL_CHECK(rows_.replace(c, *certificate));
      return true;
    });
  }
  Async<std::vector<UeCertificate>> revoked(UnixSeconds now, std::size_t most) override {
    return database_.read(
        [this, now, most](Connection& c) { return rows_.revoked(c, now, static_cast<std::int64_t>(most)); });
  }

 private:
  Result<std::optional<Standing>> standing_of(Connection& c, const std::string& x5t) const {
    AVSEAL_TRY(auto certificate, rows_.find(c, x5t));
    if (!certificate) return std::optional<Standing>();
    Standing standing{std::move(*certificate), std::nullopt};
    if (!standing.certificate.device.empty()) {
      AVSEAL_TRY(const auto device, devices_.find(c, standing.certificate.device));
      if (!device) return errors::forged("device");
      standing.device = device->state;
    }
    return std::optional(std::move(standing));
  }

  Database& database_;
  const UeCertificateRows rows_;
  const DeviceRows devices_;
};

}  // namespace

std::unique_ptr<UeCertificates> make_ue_certificates(Database& database, const RowSeal& seal) {
  return std::make_unique<SqliteUeCertificates>(database, seal);
}

}  // namespace avseal::store
