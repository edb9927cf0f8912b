#include "ledger/period.hpp"

#include "ledger/errors.hpp"
#include "ledger/segment_files.hpp"

namespace avseal::ledger {

namespace {

constexpr int first_year = 1970;  // a clock may have been anywhere
constexpr int last_year = 2199;

}  // namespace

int year_of(std::chrono::system_clock::time_point time) {
  return static_cast<int>(std::chrono::year_month_day(std::chrono::floor<std::chrono::days>(time)).year());
}

std::string log_origin(std::string_view node_origin, int year) {
  return fmt::format("{}/{:04}", node_origin, year);
}

Result<std::string> current_origin(const std::filesystem::path& directory, std::string_view node_origin,
                                   std::chrono::system_clock::time_point now) {
  AVSEAL_TRY(const auto header, last_segment_header(directory));
  if (!header) return log_origin(node_origin, year_of(now));
  for (int year = first_year; year <= last_year; ++year) {
    auto origin = log_origin(node_origin, year);
    if (header->origin == tokens::sha256(as_bytes(origin))) return origin;
  }
  return errors::other_origin(directory, node_origin);
}

}  // namespace avseal::ledger
