#include "store/aggregates.hpp"
#include "tokens/json.hpp"

namespace avseal::store {

namespace {

constexpr std::string_view table = "subscription";

std::string avatars_text(const std::vector<SubscribedAvatar>& avatars) {
  boost::json::array out;
  for (const auto& avatar : avatars) {
    boost::json::object entry;
    entry["id"] = avatar.id;
    entry["applications"] = boost::json::array(avatar.applications.begin(), avatar.applications.end());
    out.push_back(std::move(entry));
  }
  return tokens::canonical_json(out);
}

Result<std::vector<SubscribedAvatar>> parse_avatars(std::string_view text) {
  AVSEAL_TRY(const auto value, tokens::parse_json(text, {.size = text.size()}));
  std::vector<SubscribedAvatar> avatars;
  if (!value.is_array()) return avatars;
  for (const auto& entry : value.get_array()) {
    AVSEAL_TRY(auto reader, tokens::ObjectReader::open(entry));
    AVSEAL_TRY(const auto id, reader.string("id"));
    AVSEAL_TRY(auto applications, reader.strings("applications"));
    avatars.push_back({std::string(id), std::move(applications)});
  }
  return avatars;
}

RowBytes row_bytes(std::string_view impu, std::string_view avatars, std::int64_t version) {
  RowBytes row(table);
  row.add(impu).add(avatars).add(version);
  return row;
}

class SqliteSubscriptions final : public Subscriptions {
 public:
  SqliteSubscriptions(Database& database, const RowSeal& seal) : database_(database), seal_(seal) {}

  Async<std::optional<Subscription>> find(tokens::Impu impu) override {
    return database_.read([this, impu = std::move(impu)](Connection& c) { return read(c, impu); });
  }
  Async<std::int64_t> put(Subscription subscription) override {
    return database_.write([this, s = std::move(subscription)](Connection& c) { return replace(c, s); });
  }
  Async<bool> erase(tokens::Impu impu) override {
    return database_.write([impu = std::move(impu)](Connection& c) -> Result<bool> {
      AVSEAL_TRY(const auto changed, c.run("DELETE FROM subscription WHERE impu = ?", impu.canonical()));
      return changed != 0;
    });
  }

 private:
  Result<std::optional<Subscription>> read(Connection& c, const tokens::Impu& impu) const;
  Result<std::int64_t> replace(Connection& c, const Subscription& subscription) const;

  Database& database_;
  const RowSeal& seal_;
};

Result<std::optional<Subscription>> SqliteSubscriptions::read(Connection& c, const tokens::Impu& impu) const {
  AVSEAL_TRY(auto row,
             c.query("SELECT rowid, impu, avatars, version, seal FROM subscription WHERE impu = ?", impu.canonical()));
  AVSEAL_TRY(const bool found, row.step());
  if (!found) return std::optional<Subscription>();
  const auto text = row.text(2);
  if (!seal_.holds(row_bytes(row.text(1), text, row.integer(3)), row.blob(4), row.integer(0))) {
    return std::optional<Subscription>();
  }
  AVSEAL_TRY(auto avatars, parse_avatars(text));
  return std::optional(Subscription{impu, std::move(avatars), row.integer(3)});
}

Result<std::int64_t> SqliteSubscriptions::replace(Connection& c, const Subscription& subscription) const {
  AVSEAL_TRY(const auto current, read(c, subscription.impu));
  const std::int64_t version = current ? current->version + 1 : 1;
  const auto& impu = subscription.impu.canonical();
  const auto avatars = avatars_text(subscription.avatars);
  AVSEAL_CHECK(c.run("INSERT OR REPLACE INTO subscription (impu, avatars, version, seal) VALUES (?, ?, ?, ?)", impu,
                     avatars, version, ByteView(seal_.of(row_bytes(impu, avatars, version)))));
  return version;
}

}  // namespace

std::unique_ptr<Subscriptions> make_subscriptions(Database& database, const RowSeal& seal) {
  return std::make_unique<SqliteSubscriptions>(database, seal);
}

}  // namespace avseal::store
