#include "ledger/period.hpp"

#include <algorithm>
#include <charconv>

#include "ledger/closing.hpp"
#include "ledger/errors.hpp"
#include "ledger/segment_files.hpp"

namespace avseal::ledger {

int year_of(std::chrono::system_clock::time_point time) {
  return static_cast<int>(std::chrono::year_month_day(std::chrono::floor<std::chrono::days>(time)).year());
}

std::string log_origin(std::string_view node_origin, int year) {
  return fmt::format("{}/{:04}", node_origin, year);
}

int year_of_log(std::string_view log_origin) {
  const auto text = log_origin.substr(log_origin.rfind('/') + 1);
  int year = 0;
  std::from_chars(text.data(), text.data() + text.size(), year);
  return year;
}

std::chrono::system_clock::time_point end_of_year(int year) {
  return std::chrono::sys_days(std::chrono::year(year + 1) / std::chrono::January / 1);
}

std::filesystem::path closed_directory(const std::filesystem::path& directory, int year) {
  return directory / "closed" / fmt::format("{:04}", year);
}

Result<std::string> current_origin(const std::filesystem::path& directory, std::string_view node_origin,
                                   std::chrono::system_clock::time_point now) {
  AVSEAL_TRY(const auto header, last_segment_header(directory));
  if (!header) {
    const auto closed = last_closed_year(directory);
    return log_origin(node_origin, std::max(year_of(now), closed ? *closed + 1 : first_year));
  }
  for (int year = first_year; year <= last_year; ++year) {
    auto origin = log_origin(node_origin, year);
    if (header->origin == tokens::sha256(as_bytes(origin))) return origin;
  }
  return errors::other_origin(directory, node_origin);
}

}  // namespace avseal::ledger
