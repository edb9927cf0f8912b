#include "store/aggregates.hpp"
#include "store/errors.hpp"

namespace avseal::store {

namespace {

class SqliteReplayCache final : public ReplayCache {
 public:
  explicit SqliteReplayCache(Database& database) : database_(database) {}

  Async<ReplayState> reserve(ReplayEntry entry) override {
    return database_.write([entry = std::move(entry)](Connection& c) { return insert(c, entry); });
  }
  Async<std::string> complete(std::string key, std::string answer) override {
    return database_.write([key = std::move(key), answer = std::move(answer)](Connection& c) -> Result<std::string> {
      AVSEAL_TRY(const auto changed, c.run("UPDATE replay SET answer = ? WHERE key = ? AND answer = ''", answer, key));
      if (changed != 0) return answer;
      AVSEAL_TRY(auto row, c.query("SELECT answer FROM replay WHERE key = ?", key));
      AVSEAL_TRY(const bool found, row.step());
      if (!found) return errors::not_reserved();
      return row.text(0);
    });
  }

 private:
  static Result<ReplayState> insert(Connection& c, const ReplayEntry& entry);

  Database& database_;
};

Result<ReplayState> SqliteReplayCache::insert(Connection& c, const ReplayEntry& entry) {
  AVSEAL_TRY(const auto added,
             c.run("INSERT OR IGNORE INTO replay (key, client, digest, expires, answer) VALUES (?, ?, ?, ?, '')",
                   entry.key, entry.client, entry.digest, entry.expires));
  if (added != 0) return ReplayState{ReplayState::Kind::reserved, {}};
  AVSEAL_TRY(auto row, c.query("SELECT client, digest, answer FROM replay WHERE key = ?", entry.key));
  AVSEAL_TRY(const bool found, row.step());
  if (!found || row.text(0) != entry.client || row.text(1) != entry.digest) {
    return ReplayState{ReplayState::Kind::other_request, {}};
  }
  return ReplayState{ReplayState::Kind::same_request, row.text(2)};
}

}  // namespace

std::unique_ptr<ReplayCache> make_replay_cache(Database& database) {
  return std::make_unique<SqliteReplayCache>(database);
}

}  // namespace avseal::store
