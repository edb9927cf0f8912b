#include "ledger/closing.hpp"

#include <algorithm>

#include <spdlog/spdlog.h>

#include "ledger/errors.hpp"
#include "ledger/period.hpp"
#include "ledger/segment_files.hpp"

namespace avseal::ledger {

namespace {

namespace fs = std::filesystem;

constexpr auto writing = fs::perms::owner_write | fs::perms::group_write | fs::perms::others_write;

Result<void> sync(const fs::path& directory, FileOps& files) {
  if (files.sync_directory(directory) == 0) return {};
  return errors::not_synced(directory, errno);
}

Result<void> make_directory(const fs::path& path, FileOps& files) {
  if (files.mkdir(path, 0755) != 0 && errno != EEXIST) return errors::not_done("cannot create", path, errno);
  return sync(path.parent_path(), files);
}

Result<void> move(const fs::path& from, const fs::path& to, FileOps& files) {
  std::error_code ignored;
  if (!fs::exists(from, ignored)) return {};
  if (files.rename(from, to) != 0) return errors::not_done("cannot move", from, errno);
  AVSEAL_CHECK(sync(to.parent_path(), files));
  return sync(from.parent_path(), files);
}

Result<void> remove(const fs::path& file, FileOps& files) {
  if (files.unlink(file) != 0) return errors::not_done("cannot remove", file, errno);
  return {};
}

// On disk under its name when it returns.
Result<void> write_checkpoint(const fs::path& directory, const fs::path& closed, std::string_view note,
                              const std::shared_ptr<FileOps>& files) {
  const auto bytes = as_bytes(note);
  const LogFile checkpoint{(closed / "checkpoint").lexically_relative(directory), {bytes.begin(), bytes.end()}};
  return LogFiles(directory, files).write({&checkpoint, 1});
}

// Directories after what is in them: so one that nobody may write is done, with all below it.
Result<void> make_read_only(const fs::path& path, FileOps& files) {
  std::error_code failed;
  const auto status = fs::status(path, failed);
  if (failed) return errors::unavailable("cannot look at", path, failed.value());
  if ((status.permissions() & writing) == fs::perms::none) return {};
  fs::directory_iterator entries;
  if (fs::is_directory(status)) entries = fs::directory_iterator(path, failed);
  for (; !failed && entries != fs::directory_iterator(); entries.increment(failed)) {
    AVSEAL_CHECK(make_read_only(entries->path(), files));
  }
  if (failed) return errors::unavailable("cannot list", path, failed.value());
  const auto mode = static_cast<mode_t>(status.permissions() & ~writing);
  if (files.chmod(path, mode) != 0) return errors::unavailable("cannot make read-only", path, errno);
  return {};
}

// Whether a file of the log is where the next log will be.
Result<bool> has_files_of(const fs::path& directory, const std::string& log_origin) {
  AVSEAL_TRY(const auto header, last_segment_header(directory));
  if (header && header->origin == tokens::sha256(as_bytes(log_origin))) return true;
  AVSEAL_TRY(const auto published, read_published(directory));
  return published && published->origin == log_origin;
}

std::vector<int> closed_years(const fs::path& directory) {
  std::vector<int> years;
  for (int year = first_year; year <= last_year; ++year) {
    std::error_code ignored;
    if (fs::exists(closed_directory(directory, year), ignored)) years.push_back(year);
  }
  return years;
}

}  // namespace

Result<void> close_log(const fs::path& directory, std::string_view log_origin, const std::shared_ptr<FileOps>& files) {
  const auto target = closed_directory(directory, year_of_log(log_origin));
  AVSEAL_CHECK(make_directory(target.parent_path(), *files));
  AVSEAL_CHECK(make_directory(target, *files));
  AVSEAL_CHECK(move(directory / "tile", target / "tile", *files));
  // It stands in one of the two places at any time: not every filesystem moves a file so.
  AVSEAL_TRY(const auto last, read_published(directory));
  if (last) {
    AVSEAL_CHECK(write_checkpoint(directory, target, last->note, files));
    AVSEAL_CHECK(remove(directory / "checkpoint", *files));
  }
  AVSEAL_TRY(const auto starts, segment_starts(directory));
  for (const auto start : starts) AVSEAL_CHECK(remove(directory / segment_name(start), *files));
  return sync(directory, *files);
}

void freeze_log(const fs::path& directory, std::string_view log_origin, FileOps& files) {
  const auto frozen = make_read_only(closed_directory(directory, year_of_log(log_origin)), files);
  if (!frozen) spdlog::warn("event=ledger-not-frozen log={} detail=\"{}\"", log_origin, frozen.error().detail);
}

Result<Published> cosign_closed_log(const fs::path& directory, const Published& last,
                                    std::span<const tlog::NoteSignature> cosignatures,
                                    const std::shared_ptr<FileOps>& files) {
  const int year = year_of_log(last.origin);
  const auto closed = closed_directory(directory, year);
  AVSEAL_TRY(const auto found, read_published(closed));
  if (!found || found->note != last.note) {
    return errors::head(fmt::format("{} is not the log's last one any more", (closed / "checkpoint").string()));
  }
  AVSEAL_TRY(auto note, with_signatures(last.note, cosignatures));
  std::error_code unknown;
  const auto status = fs::status(closed, unknown);
  if (unknown) return errors::unavailable("cannot look at", closed, unknown.value());
  if (files->chmod(closed, static_cast<mode_t>(status.permissions() | fs::perms::owner_write)) != 0) {
    return errors::unavailable("cannot make writable", closed, errno);
  }
  const auto written = write_checkpoint(directory, closed, note, files);
  freeze_log(directory, last.origin, *files);
  if (!written) return written.error();
  return Published{last.origin, last.size, last.root, std::move(note)};
}

Result<void> finish_closing(const fs::path& directory, std::string_view node_origin,
                            const std::shared_ptr<FileOps>& files) {
  for (const int year : closed_years(directory)) {
    const auto origin = log_origin(node_origin, year);
    AVSEAL_TRY(const bool interrupted, has_files_of(directory, origin));
    if (interrupted) AVSEAL_CHECK(close_log(directory, origin, files));
    freeze_log(directory, origin, *files);
  }
  return {};
}

std::optional<int> last_closed_year(const fs::path& directory) {
  const auto years = closed_years(directory);
  return years.empty() ? std::nullopt : std::optional(years.back());
}

Result<std::optional<Published>> previous_log(const fs::path& directory, std::string_view node_origin, int year,
                                              HeadStore* heads) {
  std::optional<Published> closed;
  if (const auto last = last_closed_year(directory)) {
    AVSEAL_TRY(closed, read_published(closed_directory(directory, *last)));
  }
  for (int before = year - 1; heads != nullptr && before >= first_year; --before) {
    AVSEAL_TRY(const auto head, heads->head(log_origin(node_origin, before)));
    if (!head) continue;
    if (closed && closed->origin == head->origin && closed->size == head->size && closed->root == head->root) break;
    return errors::head(
        fmt::format("a new log would begin in {}, but the store remembers {} leaves of {}, and they are "
                    "not in {}: the directory is a new one, or was restored from an older copy; restore "
                    "the latest one",
                    directory.string(), head->size, head->origin, closed_directory(directory, before).string()));
  }
  return closed;
}

}  // namespace avseal::ledger
