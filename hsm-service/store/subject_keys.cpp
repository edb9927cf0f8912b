#include <unordered_map>

#include "store/aggregates.hpp"
#include "store/errors.hpp"
#include "tokens/digest.hpp"

namespace avseal::store {

namespace {

namespace asio = boost::asio;
using SteadyClock = std::chrono::steady_clock;

constexpr std::size_t key_size = 32;

// Keys used lately. Another process may erase a subject: nobody is remembered for longer than max_age.
class Cache {
 public:
  std::optional<Bytes> find(const std::string& subject) {
    const std::lock_guard lock(mutex_);
    const auto known = keys_.find(subject);
    if (known == keys_.end() || SteadyClock::now() - known->second.since > max_age) return std::nullopt;
    return known->second.key;
  }
  void keep(const std::string& subject, const Bytes& key) {
    const std::lock_guard lock(mutex_);
    if (keys_.size() >= max_keys) keys_.clear();
    keys_.insert_or_assign(subject, Entry{key, SteadyClock::now()});
  }
  void forget(const std::string& subject) {
    const std::lock_guard lock(mutex_);
    keys_.erase(subject);
  }

 private:
  static constexpr std::size_t max_keys = 65536;
  static constexpr std::chrono::seconds max_age{60};
  struct Entry {
    Bytes key;
    SteadyClock::time_point since;
  };
  std::mutex mutex_;
  std::unordered_map<std::string, Entry> keys_;
};

RowBytes sealed_bytes(std::string_view subject, ByteView key) {
  RowBytes bytes("subject_key");
  bytes.add(subject).add(key);
  return bytes;
}

// A forged key is an error: leaves under it could never be found by the one that the subject had before.
Result<std::optional<Bytes>> read_key(Connection& c, const RowSeal& seal, const std::string& subject) {
  AVSEAL_TRY(auto row, c.query("SELECT key, seal, rowid FROM subject_key WHERE subject = ?", subject));
  AVSEAL_TRY(const bool found, row.step());
  if (!found) return std::optional<Bytes>();
  auto key = row.blob(0);
  if (!seal.holds(sealed_bytes(subject, key), row.blob(1), row.integer(2))) return errors::forged("subject_key");
  return std::optional(std::move(key));
}

Result<void> insert_key(Connection& c, const RowSeal& seal, const std::string& subject, ByteView key) {
  const auto sealed = seal.of(sealed_bytes(subject, key));
  AVSEAL_CHECK(c.run("INSERT INTO subject_key (subject, key, seal) VALUES (?, ?, ?)", subject, key, ByteView(sealed)));
  return {};
}

Result<Bytes> read_or_make_key(Connection& c, const RowSeal& seal, const std::string& subject) {
  AVSEAL_TRY(auto known, read_key(c, seal, subject));
  if (known) return std::move(*known);
  auto key = tokens::random_bytes(key_size);
  AVSEAL_CHECK(insert_key(c, seal, subject, key));
  return key;
}

class SqliteSubjectKeys final : public ledger::SubjectKeys {
 public:
  SqliteSubjectKeys(Database& database, const RowSeal& seal) : database_(database), seal_(seal) {}

  asio::awaitable<Result<std::optional<Bytes>>> find(std::string subject) override {
    if (auto cached = cache_.find(subject)) co_return std::move(cached);
    auto look = [this, subject](Connection& c) { return read_key(c, seal_, subject); };
    AVSEAL_CO_TRY(auto known, co_await database_.read(std::move(look)));
    if (known) cache_.keep(subject, *known);
    co_return std::move(known);
  }

  asio::awaitable<Result<Bytes>> key_for(std::string subject) override {
    AVSEAL_CO_TRY(auto known, co_await find(subject));
    if (known) co_return std::move(*known);
    auto make = [this, subject](Connection& c) { return read_or_make_key(c, seal_, subject); };
    AVSEAL_CO_TRY(auto key, co_await database_.write(std::move(make)));
    cache_.keep(subject, key);
    co_return std::move(key);
  }

  asio::awaitable<Result<bool>> erase(std::string subject) override {
    auto remove = [subject](Connection& c) -> Result<bool> {
      AVSEAL_TRY(const auto changed, c.run("DELETE FROM subject_key WHERE subject = ?", subject));
      return changed != 0;
    };
    AVSEAL_CO_TRY(const bool erased, co_await database_.write(std::move(remove)));
    cache_.forget(subject);
    co_return erased;
  }

 private:
  Database& database_;
  const RowSeal& seal_;
  Cache cache_;
};

}  // namespace

Result<void> seal_subject_keys(Connection& c, const RowSeal& seal) {
  AVSEAL_TRY(const auto waiting, c.number("SELECT count(*) FROM sqlite_schema WHERE name = 'unsealed_subject_key'"));
  if (waiting == 0) return {};
  std::vector<std::pair<std::string, Bytes>> rows;
  {
    AVSEAL_TRY(auto row, c.query("SELECT subject, key FROM unsealed_subject_key"));
    while (true) {
      AVSEAL_TRY(const bool found, row.step());
      if (!found) break;
      rows.emplace_back(row.text(0), row.blob(1));
    }
  }
  for (const auto& [subject, key] : rows) AVSEAL_CHECK(insert_key(c, seal, subject, key));
  return c.execute("DROP TABLE unsealed_subject_key");
}

std::unique_ptr<ledger::SubjectKeys> make_subject_keys(Database& database, const RowSeal& seal) {
  return std::make_unique<SqliteSubjectKeys>(database, seal);
}

}  // namespace avseal::store
