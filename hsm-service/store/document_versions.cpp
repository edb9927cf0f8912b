#include <algorithm>

#include "store/aggregates.hpp"
#include "store/errors.hpp"

namespace avseal::store {

namespace {

struct Row {
  std::int64_t version = 0;
  std::string digest;
};

RowBytes row_bytes(std::string_view kind, const Row& row) {
  RowBytes bytes("document_version");
  bytes.add(kind).add(row.version).add(row.digest);
  return bytes;
}

class SqliteDocumentVersions final : public DocumentVersions {
 public:
  SqliteDocumentVersions(Database& database, const RowSeal& seal) : database_(database), seal_(seal) {}

  Async<void> accept(std::string kind, std::int64_t version, std::string digest) override {
    Row row{version, std::move(digest)};
    return database_.write([this, kind = std::move(kind), row = std::move(row)](Connection& c) -> Result<void> {
      AVSEAL_TRY(const auto highest, read(c, kind));
      if (row.version < highest.version || (row.version == highest.version && row.digest != highest.digest)) {
        return errors::document_rolled_back(kind, highest.version, row.version);
      }
      return write(c, kind, row);
    });
  }
  Async<std::int64_t> next(std::string kind, std::int64_t least) override {
    return database_.write([this, kind = std::move(kind), least](Connection& c) -> Result<std::int64_t> {
      AVSEAL_TRY(const auto highest, read(c, kind));
      const auto number = std::max(highest.version + 1, least);
      AVSEAL_CHECK(write(c, kind, {number, {}}));
      return number;
    });
  }

 private:
  // A forged row is an error: absence would let an earlier document in again.
  Result<Row> read(Connection& c, const std::string& kind) const {
    AVSEAL_TRY(auto rows, c.query("SELECT rowid, version, digest, seal FROM document_version WHERE kind = ?", kind));
    AVSEAL_TRY(const bool found, rows.step());
    if (!found) return Row{};
    Row row{rows.integer(1), rows.text(2)};
    if (!seal_.holds(row_bytes(kind, row), rows.blob(3), rows.integer(0))) return errors::forged("document_version");
    return row;
  }
  Result<void> write(Connection& c, const std::string& kind, const Row& row) const {
    AVSEAL_CHECK(c.run("INSERT OR REPLACE INTO document_version VALUES (?, ?, ?, ?)", kind, row.version, row.digest,
                       ByteView(seal_.of(row_bytes(kind, row)))));
    return {};
  }

  Database& database_;
  const RowSeal& seal_;
};

}  // namespace

std::unique_ptr<DocumentVersions> make_document_versions(Database& database, const RowSeal& seal) {
  return std::make_unique<SqliteDocumentVersions>(database, seal);
}

}  // namespace avseal::store
