#include <unordered_map>

#include "store/aggregates.hpp"
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

Result<std::optional<Bytes>> read_key(Connection& c, const std::string& subject) {
  AVSEAL_TRY(auto row, c.query("SELECT key FROM subject_key WHERE subject = ?", subject));
  AVSEAL_TRY(const bool found, row.step());
  if (!found) return std::optional<Bytes>();
  return std::optional(row.blob(0));
}

Result<Bytes> read_or_make_key(Connection& c, const std::string& subject) {
  AVSEAL_TRY(auto known, read_key(c, subject));
  if (known) return std::move(*known);
  auto key = tokens::random_bytes(key_size);
  AVSEAL_CHECK(c.run("INSERT INTO subject_key (subject, key) VALUES (?, ?)", subject, ByteView(key)));
  return key;
}

class SqliteSubjectKeys final : public ledger::SubjectKeys {
 public:
  explicit SqliteSubjectKeys(Database& database) : database_(database) {}

  asio::awaitable<Result<std::optional<Bytes>>> find(std::string subject) override {
    if (auto cached = cache_.find(subject)) co_return std::move(cached);
    auto look = [subject](Connection& c) { return read_key(c, subject); };
    AVSEAL_CO_TRY(auto known, co_await database_.read(std::move(look)));
    if (known) cache_.keep(subject, *known);
    co_return std::move(known);
  }

  asio::awaitable<Result<Bytes>> key_for(std::string subject) override {
    AVSEAL_CO_TRY(auto known, co_await find(subject));
    if (known) co_return std::move(*known);
    auto make = [subject](Connection& c) { return read_or_make_key(c, subject); };
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
  Cache cache_;
};

}  // namespace

std::unique_ptr<ledger::SubjectKeys> make_subject_keys(Database& database) {
  return std::make_unique<SqliteSubjectKeys>(database);
}

}  // namespace avseal::store
