#include "store/ue_certificate_rows.hpp"

#include <array>

#include "store/errors.hpp"

namespace avseal::store {

namespace {

constexpr std::array<RevocationCause, 7> causes = {
    RevocationCause::none,  RevocationCause::certificate, RevocationCause::superseded, RevocationCause::device,
    RevocationCause::batch, RevocationCause::model,       RevocationCause::firmware};

struct Columns {
  std::string_view x5t;
  std::string_view impu;
  std::string_view serial;
  UnixSeconds not_after;
  std::string_view device;
  UnixSeconds revoked_at;
  std::string_view cause;
};

// Before schema 5 the table was called `device`, and the sixth column said whether it was revoked.
RowBytes row_bytes(const Columns& row) {
  if (row.device.empty() && row.cause.empty()) {
    RowBytes bytes("ue_certificate", "device");
    bytes.add(row.x5t).add(row.impu).add(row.serial).add(row.not_after).add(row.revoked_at);
    return bytes;
  }
  RowBytes bytes("ue_certificate");
  bytes.add(row.x5t).add(row.impu).add(row.serial).add(row.not_after);
  bytes.add(row.device).add(row.revoked_at).add(row.cause);
  return bytes;
}

}  // namespace

std::string_view to_string(RevocationCause cause) {
  switch (cause) {
    case RevocationCause::none:
      return "";
    case RevocationCause::certificate:
      return "certificate";
    case RevocationCause::superseded:
      return "superseded";
    case RevocationCause::device:
      return "device";
    case RevocationCause::batch:
      return "batch";
    case RevocationCause::model:
      return "model";
    case RevocationCause::firmware:
      return "firmware";
  }
  return "";
}

std::optional<RevocationCause> parse_revocation_cause(std::string_view text) {
  for (const auto cause : causes) {
    if (text == to_string(cause)) return cause;
  }
  return std::nullopt;
}

Result<std::vector<UeCertificate>> UeCertificateRows::read(Query rows) const {
  std::vector<UeCertificate> all;
  for (;;) {
    AVSEAL_TRY(const bool found, rows.step());
    if (!found) return all;
    const auto x5t = rows.text(1);
    const auto impu_text = rows.text(2);
    const auto serial = rows.text(3);
    const auto device = rows.text(5);
    const auto cause_text = rows.text(7);
    const Columns columns{x5t, impu_text, serial, rows.integer(4), device, rows.integer(6), cause_text};
    if (!seal_.holds(row_bytes(columns), rows.blob(8), rows.integer(0))) return errors::forged("ue_certificate");
    auto impu = tokens::Impu::parse(impu_text);
    auto cause = parse_revocation_cause(cause_text);
    if (!impu || !cause) {
      seal_.report("ue_certificate", rows.integer(0));
      return errors::forged("ue_certificate");
    }
    if (columns.revoked_at != 0 && *cause == RevocationCause::none) cause = RevocationCause::certificate;
    all.push_back({x5t, std::move(*impu), serial, columns.not_after, device, columns.revoked_at, *cause});
  }
}

Result<std::optional<UeCertificate>> UeCertificateRows::find(Connection& c, std::string_view x5t) const {
  AVSEAL_TRY(auto rows, c.query("SELECT rowid, * FROM ue_certificate WHERE certificate_x5t = ?", x5t));
  AVSEAL_TRY(auto found, read(std::move(rows)));
  if (found.empty()) return std::optional<UeCertificate>();
  return std::optional(std::move(found.front()));
}

Result<std::vector<UeCertificate>> UeCertificateRows::of_device(Connection& c, std::string_view device,
                                                                std::int64_t most) const {
  AVSEAL_TRY(auto rows,
             c.query("SELECT rowid, * FROM ue_certificate WHERE device = ? ORDER BY rowid DESC LIMIT ?", device, most));
  return read(std::move(rows));
}

Result<std::vector<UeCertificate>> UeCertificateRows::revoked(Connection& c, UnixSeconds now, std::int64_t most) const {
  AVSEAL_TRY(auto rows, c.query("SELECT rowid, * FROM ue_certificate WHERE revoked_at <> 0 AND revoked_at <= ? AND "
                                "not_after >= ? AND cause <> 'superseded' ORDER BY revoked_at, rowid LIMIT ?",
                                now, now, most));
  return read(std::move(rows));
}

Result<bool> UeCertificateRows::add(Connection& c, const UeCertificate& certificate) const {
  AVSEAL_TRY(const auto added,
             write(c, "INSERT OR IGNORE INTO ue_certificate VALUES (?, ?, ?, ?, ?, ?, ?, ?)", certificate));
  return added == 1;
}

Result<void> UeCertificateRows::replace(Connection& c, const UeCertificate& certificate) const {
  AVSEAL_CHECK(write(c, "INSERT OR REPLACE INTO ue_certificate VALUES (?, ?, ?, ?, ?, ?, ?, ?)", certificate));
  return {};
}

Result<std::int64_t> UeCertificateRows::revoke_of_device(Connection& c, std::string_view device,
                                                         const tokens::Impu* impu, UnixSeconds at,
                                                         RevocationCause cause) const {
  AVSEAL_TRY(auto rows, c.query("SELECT rowid, * FROM ue_certificate WHERE device = ? AND not_after >= ? AND "
                                "(revoked_at = 0 OR revoked_at > ?)",
                                device, at, at));
  AVSEAL_TRY(auto found, read(std::move(rows)));
  std::int64_t revoked = 0;
  for (auto& certificate : found) {
    if (impu != nullptr && certificate.impu != *impu) continue;
    certificate.revoked_at = at;
    certificate.cause = cause;
    AVSEAL_CHECK(replace(c, certificate));
    ++revoked;
  }
  return revoked;
}

Result<std::int64_t> UeCertificateRows::write(Connection& c, std::string_view sql,
                                              const UeCertificate& certificate) const {
  const auto& impu = certificate.impu.canonical();
  const auto cause = to_string(certificate.cause);
  const Columns columns{
      certificate.certificate_x5t, impu, certificate.serial_hex, certificate.not_after, certificate.device,
      certificate.revoked_at,      cause};
  return c.run(sql, columns.x5t, columns.impu, columns.serial, columns.not_after, columns.device, columns.revoked_at,
               columns.cause, ByteView(seal_.of(row_bytes(columns))));
}

}  // namespace avseal::store
