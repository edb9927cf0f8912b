#include <algorithm>

#include "store/aggregates.hpp"
#include "store/errors.hpp"

namespace avseal::store {

namespace {

using ledger::Head;

Result<std::optional<Head>> read_head(Connection& c, const std::string& origin) {
  AVSEAL_TRY(auto row, c.query("SELECT size, root, note, uses FROM ledger_head WHERE origin = ?", origin));
  AVSEAL_TRY(const bool found, row.step());
  if (!found) return std::optional<Head>();
  Head head{origin, static_cast<std::uint64_t>(row.integer(0)), {}, row.text(2), row.text(3)};
  const auto root = row.blob(1);
  if (root.size() != head.root.size()) return errors::forged("ledger_head");
  std::copy(root.begin(), root.end(), head.root.begin());
  return std::optional(std::move(head));
}

// Not sealed: it is needed before the row key is there, and the note in it has the HSM's signature.
class SqliteLedgerHeads final : public ledger::HeadStore {
 public:
  explicit SqliteLedgerHeads(Database& database) : database_(database) {}

  Result<std::optional<Head>> head(const std::string& origin) override {
    return database_.read_and_wait([&origin](Connection& c) { return read_head(c, origin); });
  }

  Result<void> replace(const std::optional<Head>& expected, const Head& next) override {
    return database_.write_and_wait([&](Connection& c) -> Result<void> {
      AVSEAL_TRY(const auto found, read_head(c, next.origin));
      if (found != expected) return errors::head_changed(next.origin, found ? found->size : 0);
      AVSEAL_CHECK(c.run("INSERT OR REPLACE INTO ledger_head VALUES (?, ?, ?, ?, ?)", next.origin,
                         static_cast<std::int64_t>(next.size), ByteView(next.root), next.note, next.uses));
      return {};
    });
  }

 private:
  Database& database_;
};

}  // namespace

std::unique_ptr<ledger::HeadStore> make_ledger_heads(Database& database) {
  return std::make_unique<SqliteLedgerHeads>(database);
}

}  // namespace avseal::store
