#include "store/aggregates.hpp"
#include "store/errors.hpp"
#include "tokens/json.hpp"

namespace avseal::store {

namespace {

RowBytes row_bytes(const AvatarRecord& record, std::string_view owner, std::string_view members) {
  RowBytes row("avatar");
  row.add(record.id).add(owner).add(record.version).add(record.content_digest).add(record.content_size);
  row.add(record.content_type).add(record.content_file).add(ByteView(record.wrapped_key)).add(members);
  row.add(std::int64_t{record.withdrawn});
  return row;
}

RowBytes row_bytes(const StagedContent& content) {
  RowBytes row("staged_content");
  row.add(content.avatar_id).add(content.content_digest).add(content.content_size).add(content.content_type);
  row.add(content.content_file).add(ByteView(content.wrapped_key)).add(content.staged_at);
  return row;
}

class SqliteAvatars final : public Avatars {
 public:
  SqliteAvatars(Database& database, const RowSeal& seal) : database_(database), seal_(seal) {}

  Async<std::optional<AvatarRecord>> find(std::string id) override {
    return database_.read([this, id = std::move(id)](Connection& c) { return read(c, id); });
  }
  Async<void> stage(StagedContent content) override {
    return database_.write([this, s = std::move(content)](Connection& c) { return stage_row(c, s); });
  }
  Async<std::optional<StagedContent>> staged(std::string avatar_id, std::string content_digest) override {
    return database_.read([this, id = std::move(avatar_id), digest = std::move(content_digest)](Connection& c) {
      return read_staged(c, id, digest);
    });
  }
  Async<std::optional<std::string>> publish(AvatarRecord record, std::int64_t expected) override {
    return database_.write([this, r = std::move(record), expected](Connection& c) { return replace(c, r, expected); });
  }
  Async<std::optional<std::string>> withdraw(std::string id, std::int64_t expected) override {
    return database_.write([this, id = std::move(id), expected](Connection& c) { return take_back(c, id, expected); });
  }
  Async<std::vector<std::string>> files() override { return database_.read(list_files); }
  Async<std::vector<StagedContent>> expire_staged(UnixSeconds before) override {
    return database_.write([this, before](Connection& c) { return expire(c, before); });
  }

 private:
  using File = std::optional<std::string>;
  Result<std::optional<AvatarRecord>> read(Connection& c, const std::string& id) const;
  Result<std::optional<StagedContent>> read_staged(Connection& c, const std::string& id,
                                                   const std::string& digest) const;
  Result<void> stage_row(Connection& c, const StagedContent& content) const;
  Result<void> write(Connection& c, const AvatarRecord& record) const;
  Result<File> replace(Connection& c, const AvatarRecord& record, std::int64_t expected) const;
  Result<File> take_back(Connection& c, const std::string& id, std::int64_t expected) const;
  Result<std::vector<StagedContent>> expire(Connection& c, UnixSeconds before) const;
  static Result<std::vector<std::string>> list_files(Connection& c);
  [[nodiscard]] std::optional<StagedContent> staged_of(const Query& row) const;

  Database& database_;
  const RowSeal& seal_;
};

Result<std::optional<AvatarRecord>> SqliteAvatars::read(Connection& c, const std::string& id) const {
  AVSEAL_TRY(auto row,
             c.query("SELECT rowid, id, owner, version, content_digest, content_size, content_type, content_file, "
                     "wrapped_key, members, withdrawn, seal FROM avatar WHERE id = ?",
                     id));
  AVSEAL_TRY(const bool found, row.step());
  if (!found) return std::optional<AvatarRecord>();
  const auto owner_text = row.text(2);
  const auto members_text = row.text(9);
  auto owner = tokens::Impu::parse(owner_text);
  auto members = tokens::parse_json(members_text, {.size = members_text.size()});
  if (!owner || !members || !members->is_object()) {
    seal_.report("avatar", row.integer(0));
    return std::optional<AvatarRecord>();
  }
  AvatarRecord record{row.text(1),         std::move(*owner), row.integer(3),
                      row.text(4),         row.integer(5),    row.text(6),
                      row.text(7),         row.blob(8),       std::move(members->get_object()),
                      row.integer(10) != 0};
  if (!seal_.holds(row_bytes(record, owner_text, members_text), row.blob(11), row.integer(0))) {
    return std::optional<AvatarRecord>();
  }
  return std::optional(std::move(record));
}

// Columns: rowid, then those of the table in order.
std::optional<StagedContent> SqliteAvatars::staged_of(const Query& row) const {
  StagedContent content{row.text(1), row.text(2), row.integer(3), row.text(4),
                        row.text(5), row.blob(6), row.integer(7)};
  if (!seal_.holds(row_bytes(content), row.blob(8), row.integer(0))) return std::nullopt;
  return content;
}

Result<std::optional<StagedContent>> SqliteAvatars::read_staged(Connection& c, const std::string& id,
                                                                const std::string& digest) const {
  AVSEAL_TRY(auto row,
             c.query("SELECT rowid, * FROM staged_content WHERE avatar_id = ? AND content_digest = ?", id, digest));
  AVSEAL_TRY(const bool found, row.step());
  if (!found) return std::optional<StagedContent>();
  return staged_of(row);
}

Result<void> SqliteAvatars::stage_row(Connection& c, const StagedContent& s) const {
  AVSEAL_CHECK(
      c.run("INSERT OR REPLACE INTO staged_content (avatar_id, content_digest, content_size, content_type, "
            "content_file, wrapped_key, staged_at, seal) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            s.avatar_id, s.content_digest, s.content_size, s.content_type, s.content_file, ByteView(s.wrapped_key),
            s.staged_at, ByteView(seal_.of(row_bytes(s)))));
  return {};
}

Result<void> SqliteAvatars::write(Connection& c, const AvatarRecord& r) const {
  const auto& owner = r.owner.canonical();
  const auto members = tokens::canonical_json(r.members);
  AVSEAL_CHECK(c.run(
      "INSERT OR REPLACE INTO avatar (id, owner, version, content_digest, content_size, content_type, "
      "content_file, wrapped_key, members, withdrawn, seal) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
      r.id, owner, r.version, r.content_digest, r.content_size, r.content_type, r.content_file, ByteView(r.wrapped_key),
      members, std::int64_t{r.withdrawn}, ByteView(seal_.of(row_bytes(r, owner, members)))));
  return {};
}

Result<SqliteAvatars::File> SqliteAvatars::replace(Connection& c, const AvatarRecord& record,
                                                   std::int64_t expected) const {
  AVSEAL_TRY(const auto current, read(c, record.id));
  const std::int64_t version = current ? current->version : 0;
  const bool none = !current || current->withdrawn;
  const bool as_expected = expected == version || (expected == 0 && none);
  if (!as_expected || record.version <= version) return errors::version_conflict(expected, version);

  const bool same_file = current && current->content_file == record.content_file;
  if (!same_file) {
    AVSEAL_TRY(const auto staged, read_staged(c, record.id, record.content_digest));
    if (!staged || staged->content_file != record.content_file) return errors::not_staged(record.content_digest);
    AVSEAL_CHECK(c.run("DELETE FROM staged_content WHERE avatar_id = ? AND content_digest = ?", record.id,
                       record.content_digest));
  }
  AVSEAL_CHECK(write(c, record));
  if (same_file || !current || current->content_file.empty()) return File();
  return File(current->content_file);
}

// The row stays, so that versions go on rising; file and data key are forgotten.
Result<SqliteAvatars::File> SqliteAvatars::take_back(Connection& c, const std::string& id,
                                                     std::int64_t expected) const {
  AVSEAL_TRY(auto current, read(c, id));
  const std::int64_t version = current && !current->withdrawn ? current->version : 0;
  if (version == 0 || version != expected) return errors::version_conflict(expected, version);
  auto file = std::exchange(current->content_file, {});
  current->wrapped_key.clear();
  current->withdrawn = true;
  AVSEAL_CHECK(write(c, *current));
  return file.empty() ? File() : File(std::move(file));
}

Result<std::vector<std::string>> SqliteAvatars::list_files(Connection& c) {
  AVSEAL_TRY(auto row, c.query("SELECT content_file FROM avatar WHERE content_file <> '' "
                               "UNION SELECT content_file FROM staged_content"));
  std::vector<std::string> files;
  for (;;) {
    AVSEAL_TRY(const bool found, row.step());
    if (!found) return files;
    files.push_back(row.text(0));
  }
}

// A forged row is not given back: the file that it names may be somebody else's.
Result<std::vector<StagedContent>> SqliteAvatars::expire(Connection& c, UnixSeconds before) const {
  std::vector<StagedContent> expired;
  {
    AVSEAL_TRY(auto row, c.query("SELECT rowid, * FROM staged_content WHERE staged_at < ?", before));
    for (;;) {
      AVSEAL_TRY(const bool found, row.step());
      if (!found) break;
      if (auto content = staged_of(row)) expired.push_back(std::move(*content));
    }
  }
  AVSEAL_CHECK(c.run("DELETE FROM staged_content WHERE staged_at < ?", before));
  return expired;
}

}  // namespace

std::unique_ptr<Avatars> make_avatars(Database& database, const RowSeal& seal) {
  return std::make_unique<SqliteAvatars>(database, seal);
}

}  // namespace avseal::store
