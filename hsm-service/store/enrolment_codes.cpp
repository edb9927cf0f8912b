#include "store/aggregates.hpp"
#include "store/errors.hpp"

namespace avseal::store {

namespace {

// Codes of before schema 5 are not simple.
RowBytes row_bytes(std::string_view code_sha256, std::string_view impu, UnixSeconds expires, bool simple) {
  RowBytes row("enrolment_code");
  row.add(code_sha256).add(impu).add(expires);
  if (simple) row.add(std::int64_t{1});
  return row;
}

class SqliteEnrolmentCodes final : public EnrolmentCodes {
 public:
  SqliteEnrolmentCodes(Database& database, const RowSeal& seal) : database_(database), seal_(seal) {}

  Async<void> add(EnrolmentCode code) override {
    return database_.write([this, code = std::move(code)](Connection& c) { return insert(c, code); });
  }
  Async<EnrolmentCode> find(std::string code_sha256, UnixSeconds now) override {
    return database_.read([this, code = std::move(code_sha256), now](Connection& c) -> Result<EnrolmentCode> {
      AVSEAL_TRY(auto row, c.query("SELECT rowid, code_sha256, impu, expires, simple, seal FROM enrolment_code WHERE "
                                   "code_sha256 = ? AND expires > ?",
                                   code, now));
      return read(row);
    });
  }
  Async<EnrolmentCode> spend(std::string code_sha256, UnixSeconds now) override {
    return database_.write([this, code = std::move(code_sha256), now](Connection& c) -> Result<EnrolmentCode> {
      AVSEAL_TRY(auto row, c.query("DELETE FROM enrolment_code WHERE code_sha256 = ? AND expires > ? RETURNING rowid, "
                                   "code_sha256, impu, expires, simple, seal",
                                   code, now));
      return read(row);
    });
  }

 private:
  Result<void> insert(Connection& c, const EnrolmentCode& code) const;
  Result<EnrolmentCode> read(Query& row) const;

  Database& database_;
  const RowSeal& seal_;
};

Result<void> SqliteEnrolmentCodes::insert(Connection& c, const EnrolmentCode& code) const {
  const auto& impu = code.impu.canonical();
  const auto seal = seal_.of(row_bytes(code.code_sha256, impu, code.expires, code.simple));
  AVSEAL_TRY(const auto added, c.run("INSERT OR IGNORE INTO enrolment_code (code_sha256, impu, expires, simple, seal) "
                                     "VALUES (?, ?, ?, ?, ?)",
                                     code.code_sha256, impu, code.expires, std::int64_t{code.simple}, ByteView(seal)));
  if (added == 0) return errors::enrolment_code_exists();
  return {};
}

Result<EnrolmentCode> SqliteEnrolmentCodes::read(Query& row) const {
  AVSEAL_TRY(const bool found, row.step());
  if (!found) return errors::enrolment_code_invalid();
  const auto impu_text = row.text(2);
  const bool simple = row.integer(4) != 0;
  const auto bytes = row_bytes(row.text(1), impu_text, row.integer(3), simple);
  const bool genuine = seal_.holds(bytes, row.blob(5), row.integer(0));
  auto impu = tokens::Impu::parse(impu_text);
  if (!genuine || !impu) return errors::enrolment_code_invalid();
  EnrolmentCode code{row.text(1), std::move(*impu), row.integer(3), simple};
  AVSEAL_CHECK(row.step());  // to the end of the statement
  return code;
}

}  // namespace

std::unique_ptr<EnrolmentCodes> make_enrolment_codes(Database& database, const RowSeal& seal) {
  return std::make_unique<SqliteEnrolmentCodes>(database, seal);
}

}  // namespace avseal::store
