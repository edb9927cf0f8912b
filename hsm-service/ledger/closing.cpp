#include "ledger/closing.hpp"

#include <algorithm>

#include "ledger/errors.hpp"
#include "ledger/period.hpp"
#include "ledger/segment_files.hpp"

namespace avseal::ledger {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view closed_name = "closed";

fs::path closed_directory(const fs::path& directory, int year) {
  return directory / closed_name / fmt::format("{:04}", year);
}

Result<void> sync(const fs::path& directory, FileOps& files) {
  if (files.sync_directory(directory) == 0) return {};
  return errors::unavailable("cannot sync", directory, errno);
}

Result<void> make_directory(const fs::path& path, FileOps& files) {
  if (files.mkdir(path, 0755) != 0 && errno != EEXIST) return errors::unavailable("cannot create", path, errno);
  return sync(path.parent_path(), files);
}

Result<void> move(const fs::path& from, const fs::path& to, FileOps& files) {
  std::error_code ignored;
  if (!fs::exists(from, ignored)) return {};
  if (files.rename(from, to) != 0) return errors::unavailable("cannot move", from, errno);
  AVSEAL_CHECK(sync(to.parent_path(), files));
  return sync(from.parent_path(), files);
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

Result<void> close_log(const fs::path& directory, std::string_view log_origin, FileOps& files) {
  const auto target = closed_directory(directory, year_of_log(log_origin));
  AVSEAL_CHECK(make_directory(target.parent_path(), files));
  AVSEAL_CHECK(make_directory(target, files));
  AVSEAL_CHECK(move(directory / "tile", target / "tile", files));
  AVSEAL_CHECK(move(directory / "checkpoint", target / "checkpoint", files));
  AVSEAL_TRY(const auto starts, segment_starts(directory));
  for (const auto start : starts) {
    const auto file = directory / segment_name(start);
    if (files.unlink(file) != 0) return errors::unavailable("cannot remove", file, errno);
  }
  return sync(directory, files);
}

Result<void> finish_closing(const fs::path& directory, std::string_view node_origin, FileOps& files) {
  for (const int year : closed_years(directory)) {
    const auto origin = log_origin(node_origin, year);
    AVSEAL_TRY(const bool interrupted, has_files_of(directory, origin));
    if (interrupted) return close_log(directory, origin, files);
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
