#include <algorithm>

#include "store/aggregates.hpp"
#include "store/device_rows.hpp"
#include "store/errors.hpp"
#include "store/ue_certificate_rows.hpp"

namespace avseal::store {

namespace {

constexpr std::int64_t page = 500;

bool concerns(const DeviceRevocation& revocation, const Device& device) {
  const bool firmware = revocation.kind == RevocationCause::firmware;
  if (!revocation.scope.empty()) {
    if (firmware ? !device.tpm.starts_with(revocation.scope) : device.maker != revocation.scope) return false;
  }
  if (firmware) return device.firmware == revocation.value;
  return (revocation.kind == RevocationCause::batch ? device.batch : device.model) == revocation.value;
}

std::string_view reason_of(RevocationCause kind) {
  if (kind == RevocationCause::batch) return "device-batch-revoked";
  return kind == RevocationCause::model ? "device-model-refused" : "device-firmware-refused";
}

class SqliteDevices final : public Devices {
 public:
  SqliteDevices(Database& database, const RowSeal& seal) : database_(database), rows_(seal), certificates_(seal) {}

  Async<std::optional<Device>> find(std::string id) override {
    return database_.read([this, id = std::move(id)](Connection& c) { return rows_.find(c, id); });
  }
  Async<std::vector<Device>> list(DeviceQuery query) override {
    return database_.read([this, query = std::move(query)](Connection& c) { return rows_.list(c, query); });
  }
  Async<std::vector<tokens::Impu>> identities(std::string id) override {
    return database_.read([this, id = std::move(id)](Connection& c) { return rows_.identities(c, id); });
  }
  Async<bool> another_active(tokens::Impu impu, std::string id) override {
    return database_.read(
        [this, impu = std::move(impu), id = std::move(id)](Connection& c) { return another(c, impu, id); });
  }
  Async<void> put(Device device, std::optional<tokens::Impu> bind) override {
    return database_.write([this, device = std::move(device), bind = std::move(bind)](Connection& c) -> Result<void> {
      AVSEAL_CHECK(rows_.put(c, device));
      if (!bind) return {};
      return rows_.bind(c, device.id, *bind);
    });
  }
  Async<void> enrol(Enrolment enrolment) override {
    return database_.write([this, e = std::move(enrolment)](Connection& c) { return write(c, e); });
  }
  Async<std::optional<std::int64_t>> revoke(std::string id, std::string why, UnixSeconds now) override {
    return database_.write(
        [this, id = std::move(id), why = std::move(why), now](Connection& c) { return end(c, id, why, now); });
  }
  Async<bool> approve(std::string id) override {
    return database_.write([this, id = std::move(id)](Connection& c) -> Result<bool> {
      AVSEAL_TRY(auto device, rows_.find(c, id));
      if (!device) return false;
      device->state = DeviceState::active;
      device->why.clear();
      device->life = {};
      AVSEAL_CHECK(rows_.put(c, std::move(*device)));
      return true;
    });
  }
  Async<std::int64_t> revoke_all(DeviceRevocation revocation) override {
    return database_.write(
        [this, revocation = std::move(revocation)](Connection& c) { return end_all(c, revocation); });
  }
  Async<std::vector<DeviceRevocation>> revocations() override {
    return database_.read([this](Connection& c) { return rows_.revocations(c); });
  }
  Async<void> refusal(Device device) override {
    return database_.read([this, device = std::move(device)](Connection& c) { return refusal_of(c, device); });
  }

 private:
  Result<bool> another(Connection& c, const tokens::Impu& impu, const std::string& id) const;
  Result<void> write(Connection& c, const Enrolment& enrolment) const;
  Result<std::optional<std::int64_t>> end(Connection& c, const std::string& id, const std::string& why,
                                          UnixSeconds now) const;
  Result<std::int64_t> end_all(Connection& c, const DeviceRevocation& revocation) const;
  Result<void> refusal_of(Connection& c, const Device& device) const;

  Database& database_;
  const DeviceRows rows_;
  const UeCertificateRows certificates_;
};

Result<bool> SqliteDevices::another(Connection& c, const tokens::Impu& impu, const std::string& id) const {
  AVSEAL_TRY(const auto ids, rows_.devices_of(c, impu));
  for (const auto& other : ids) {
    if (other == id) continue;
    AVSEAL_TRY(const auto device, rows_.find(c, other));
    if (device && device->state == DeviceState::active) return true;
  }
  return false;
}

Result<void> SqliteDevices::write(Connection& c, const Enrolment& enrolment) const {
  AVSEAL_CHECK(refusal_of(c, enrolment.device));
  AVSEAL_CHECK(rows_.put(c, enrolment.device));
  const auto& certificate = enrolment.certificate;
  AVSEAL_CHECK(rows_.bind(c, enrolment.device.id, certificate.impu));
  AVSEAL_CHECK(certificates_.revoke_of_device(c, enrolment.device.id, &certificate.impu, enrolment.supersede_at,
                                              RevocationCause::superseded));
  AVSEAL_TRY(const bool added, certificates_.add(c, certificate));
  if (!added) return errors::ue_certificate_exists();
  return {};
}

Result<std::optional<std::int64_t>> SqliteDevices::end(Connection& c, const std::string& id, const std::string& why,
                                                       UnixSeconds now) const {
  AVSEAL_TRY(auto device, rows_.find(c, id));
  if (!device) return std::optional<std::int64_t>();
  device->state = DeviceState::revoked;
  device->why = why;
  AVSEAL_CHECK(rows_.put(c, std::move(*device)));
  AVSEAL_TRY(const auto revoked, certificates_.revoke_of_device(c, id, nullptr, now, RevocationCause::device));
  return std::optional(revoked);
}

Result<std::int64_t> SqliteDevices::end_all(Connection& c, const DeviceRevocation& revocation) const {
  AVSEAL_CHECK(rows_.put_revocation(c, revocation));
  DeviceQuery query;
  query.limit = page;
  if (revocation.kind == RevocationCause::batch) query.batch = revocation.value;
  if (revocation.kind == RevocationCause::model) query.model = revocation.value;
  std::int64_t revoked = 0;
  for (;;) {
    AVSEAL_TRY(const auto devices, rows_.list(c, query));
    for (const auto& device : devices) {
      if (!concerns(revocation, device)) continue;
      AVSEAL_TRY(const auto certificates,
                 certificates_.revoke_of_device(c, device.id, nullptr, revocation.since, revocation.kind));
      revoked += certificates;
    }
    if (devices.size() < static_cast<std::size_t>(page)) return revoked;
    query.after = devices.back().id;
  }
}

Result<void> SqliteDevices::refusal_of(Connection& c, const Device& device) const {
  AVSEAL_TRY(const auto all, rows_.revocations(c));
  const auto found = std::find_if(all.begin(), all.end(), [&](const auto& r) { return concerns(r, device); });
  if (found == all.end()) return {};
  return errors::device_refused(reason_of(found->kind), to_string(found->kind), found->value);
}

}  // namespace

std::unique_ptr<Devices> make_devices(Database& database, const RowSeal& seal) {
  return std::make_unique<SqliteDevices>(database, seal);
}

}  // namespace avseal::store
