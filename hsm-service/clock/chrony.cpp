#include "clock/chrony.hpp"

#include <array>
#include <charconv>
#include <cmath>

#include <fmt/format.h>

#include "clock/kernel.hpp"
#include "clock/program.hpp"

namespace avseal::clock {
namespace {

constexpr std::size_t field_count = 14;
constexpr std::size_t max_answer = 1024;
constexpr auto answer_limit = std::chrono::seconds{2};

// Places in the line.
constexpr std::size_t stratum_at = 2;
constexpr std::size_t offset_at = 4;
constexpr std::size_t root_delay_at = 10;
constexpr std::size_t root_dispersion_at = 11;
constexpr std::size_t leap_status_at = 13;

Error malformed(std::string_view what) {
  return errors::make(Category::unavailable, "chrony-answer-malformed",
                      fmt::format("chronyc tracking answered something else: {}", what));
}

Error unsynchronised(std::string why) {
  return errors::make(Category::unavailable, "clock-unsynchronised", std::move(why));
}

template <class Number>
Result<Number> number(std::string_view text) {
  Number value{};
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failed != std::errc{} || end != text.data() + text.size()) return malformed("expected a number");
  return value;
}

Result<double> seconds(std::string_view text) {
  AVSEAL_TRY(const double value, number<double>(text));
  if (!std::isfinite(value)) return malformed("expected a finite number");
  return value;
}

}  // namespace

Result<Tracking> parse_tracking(std::string_view text) {
  if (text.size() > max_answer) return malformed("it is too long");
  if (!text.ends_with('\n')) return malformed("expected one line");
  text.remove_suffix(1);
  std::array<std::string_view, field_count> fields;
  for (std::size_t i = 0; i < field_count; ++i) {
    const auto comma = text.find(',');
    if ((comma == std::string_view::npos) != (i + 1 == field_count)) return malformed("expected 14 fields");
    fields[i] = text.substr(0, comma);
    text.remove_prefix(comma == std::string_view::npos ? text.size() : comma + 1);
  }
  Tracking out;
  AVSEAL_TRY(out.stratum, number<unsigned>(fields[stratum_at]));
  AVSEAL_TRY(out.offset, seconds(fields[offset_at]));
  AVSEAL_TRY(out.root_delay, seconds(fields[root_delay_at]));
  AVSEAL_TRY(out.root_dispersion, seconds(fields[root_dispersion_at]));
  out.leap_status = fields[leap_status_at];
  for (const std::string_view known : {"Normal", "Insert second", "Delete second", "Not synchronised"}) {
    if (out.leap_status == known) return out;
  }
  return malformed("expected a known leap status");
}

Result<void> judge_chrony(const Tracking& tracking) {
  if (tracking.leap_status == "Not synchronised" || tracking.stratum == 0 || tracking.stratum > 15) {
    return unsynchronised("chrony says that it is not synchronised; see chronyc sources");
  }
  const double error =
      std::abs(tracking.offset) + std::abs(tracking.root_delay) / 2 + std::abs(tracking.root_dispersion);
  if (error > max_error)
    return unsynchronised(fmt::format("chrony says that the clock may be wrong by {:.1f} s", error));
  return {};
}

Result<void> ask_chrony(const std::filesystem::path& chronyc) {
  AVSEAL_TRY(const std::string text, run_program({chronyc.string(), "-n", "-c", "tracking"}, answer_limit, max_answer));
  AVSEAL_TRY(const Tracking tracking, parse_tracking(text));
  return judge_chrony(tracking);
}

}  // namespace avseal::clock
