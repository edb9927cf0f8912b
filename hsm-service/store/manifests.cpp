#include "store/aggregates.hpp"
#include "store/errors.hpp"

namespace avseal::store {

namespace {

RowBytes row_bytes(const Manifest& row) {
  RowBytes bytes("manifest");
  bytes.add(row.maker).add(row.version).add(row.digest).add(row.devices).add(row.imported_at).add(row.actor);
  return bytes;
}

RowBytes row_bytes(const ManifestDevice& row) {
  RowBytes bytes("manifest_device");
  bytes.add(row.id).add(row.serial_sha256).add(row.maker).add(row.model).add(row.batch);
  return bytes;
}

class SqliteManifests final : public Manifests {
 public:
  SqliteManifests(Database& database, const RowSeal& seal) : database_(database), seal_(seal) {}

  Async<void> import(Manifest manifest, std::vector<ManifestDevice> devices) override {
    return database_.write([this, manifest = std::move(manifest), devices = std::move(devices)](Connection& c) {
      return write(c, manifest, devices);
    });
  }
  Async<std::vector<Manifest>> all() override {
    return database_.read([this](Connection& c) { return read(c); });
  }
  Async<std::optional<ManifestDevice>> find(std::string id) override {
    return database_.read([this, id = std::move(id)](Connection& c) { return device(c, id); });
  }

 private:
  Result<std::vector<Manifest>> read(Connection& c) const;
  Result<std::optional<ManifestDevice>> device(Connection& c, const std::string& id) const;
  Result<void> write(Connection& c, const Manifest& manifest, const std::vector<ManifestDevice>& devices) const;

  Database& database_;
  const RowSeal& seal_;
};

// A forged row is an error: without it, an earlier version would be taken again.
Result<std::vector<Manifest>> SqliteManifests::read(Connection& c) const {
  AVSEAL_TRY(auto rows, c.query("SELECT rowid, * FROM manifest ORDER BY maker"));
  std::vector<Manifest> all;
  for (;;) {
    AVSEAL_TRY(const bool found, rows.step());
    if (!found) return all;
    Manifest row{rows.text(1), rows.integer(2), rows.text(3), rows.integer(4), rows.integer(5), rows.text(6)};
    if (!seal_.holds(row_bytes(row), rows.blob(7), rows.integer(0))) return errors::forged("manifest");
    all.push_back(std::move(row));
  }
}

Result<std::optional<ManifestDevice>> SqliteManifests::device(Connection& c, const std::string& id) const {
  AVSEAL_TRY(auto rows, c.query("SELECT rowid, * FROM manifest_device WHERE id = ?", id));
  AVSEAL_TRY(const bool found, rows.step());
  if (!found) return std::optional<ManifestDevice>();
  ManifestDevice row{rows.text(1), rows.text(2), rows.text(3), rows.text(4), rows.text(5)};
  if (!seal_.holds(row_bytes(row), rows.blob(6), rows.integer(0))) return std::optional<ManifestDevice>();
  return std::optional(std::move(row));
}

Result<void> SqliteManifests::write(Connection& c, const Manifest& manifest,
                                    const std::vector<ManifestDevice>& devices) const {
  AVSEAL_TRY(const auto known, read(c));
  for (const auto& earlier : known) {
    if (earlier.maker != manifest.maker || earlier.version < manifest.version) continue;
    const bool same = earlier.version == manifest.version && earlier.digest == manifest.digest;
    if (!same) {
      return errors::document_rolled_back("the manifest of " + manifest.maker, earlier.version, manifest.version);
    }
    return {};
  }
  for (const auto& row : devices) {
    AVSEAL_TRY(const auto earlier, device(c, row.id));
    if (earlier && earlier->maker != manifest.maker) return errors::manifest_other_maker(row.id, earlier->maker);
    AVSEAL_CHECK(c.run("INSERT OR REPLACE INTO manifest_device VALUES (?, ?, ?, ?, ?, ?)", row.id, row.serial_sha256,
                       row.maker, row.model, row.batch, ByteView(seal_.of(row_bytes(row)))));
  }
  AVSEAL_CHECK(c.run("INSERT OR REPLACE INTO manifest VALUES (?, ?, ?, ?, ?, ?, ?)", manifest.maker, manifest.version,
                     manifest.digest, manifest.devices, manifest.imported_at, manifest.actor,
                     ByteView(seal_.of(row_bytes(manifest)))));
  return {};
}

}  // namespace

std::unique_ptr<Manifests> make_manifests(Database& database, const RowSeal& seal) {
  return std::make_unique<SqliteManifests>(database, seal);
}

}  // namespace avseal::store
