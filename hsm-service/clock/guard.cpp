#include "clock/guard.hpp"

#include <array>
#include <ctime>

#include <fmt/format.h>

namespace avseal::clock {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;

constexpr std::array<std::pair<Source, std::string_view>, 3> source_names{
    {{Source::trusted, "trusted"}, {Source::kernel, "kernel"}, {Source::chrony, "chrony"}}};

nanoseconds read_clock(clockid_t id) {
  timespec now{};
  clock_gettime(id, &now);
  return std::chrono::seconds{now.tv_sec} + nanoseconds{now.tv_nsec};
}

bool is_step(nanoseconds distance) {
  return std::chrono::abs(distance) > Guard::step_limit;
}

milliseconds in_ms(nanoseconds distance) {
  return std::chrono::duration_cast<milliseconds>(distance);
}

Error stepped(nanoseconds distance) {
  return errors::make(
      Category::unavailable, "clock-stepped",
      fmt::format("the clock of this node was stepped by {} ms; nothing is signed or judged until it is "
                  "stepped back or an operator accepts the time (avseal clock accept)",
                  in_ms(distance).count()));
}

Error unsynchronised(const std::string& why) {
  return errors::make(
      Category::unavailable, "clock-unsynchronised",
      fmt::format("the clock of this node is not synchronised ({}); nothing is signed or judged until it is", why));
}

}  // namespace

std::string_view to_string(Source source) {
  for (const auto& [value, name] : source_names) {
    if (value == source) return name;
  }
  return "";
}

Result<Source> parse_source(std::string_view text) {
  for (const auto& [value, name] : source_names) {
    if (name == text) return value;
  }
  return errors::make(Category::invalid, "clock-source-unknown",
                      fmt::format("'{}' is no clock source: expected trusted, kernel or chrony", text));
}

std::string_view to_string(Guard::Change::Kind kind) {
  switch (kind) {
    case Guard::Change::Kind::stepped:
      return "clock.stepped";
    case Guard::Change::Kind::restored:
      return "clock.restored";
    case Guard::Change::Kind::unsynchronised:
      return "clock.unsynchronised";
    case Guard::Change::Kind::synchronised:
      return "clock.synchronised";
  }
  return "";
}

Reading read_clocks() {
  return {read_clock(CLOCK_REALTIME), read_clock(CLOCK_BOOTTIME)};
}

Guard::Guard(Source source, ReadClocks read)
    : source_(source),
      read_(std::move(read)),
      reference_(offset()),
      synchronised_(source == Source::trusted),
      why_(fmt::format("{} was not heard yet", to_string(source))) {}

nanoseconds Guard::offset() const {
  const auto now = read_();
  return now.realtime - now.boottime;
}

Result<void> Guard::check() const {
  const auto distance = offset() - reference_.load();
  if (is_step(distance)) {
    noticed_ = distance;
    return stepped(distance);
  }
  if (synchronised_) return {};
  const std::lock_guard lock(mutex_);
  return unsynchronised(why_);
}

milliseconds Guard::step() const {
  return in_ms(offset() - reference_.load());
}

std::chrono::system_clock::time_point Guard::unstepped() const {
  const auto now = read_();
  const auto distance = now.realtime - now.boottime - reference_.load();
  const auto time = is_step(distance) ? now.realtime - distance : now.realtime;
  return std::chrono::system_clock::time_point(std::chrono::duration_cast<std::chrono::system_clock::duration>(time));
}

void Guard::accept() {
  accepted_ = true;
  reference_ = offset();
}

void Guard::heard(Result<void> synchronised) {
  said_ = std::move(synchronised);
  heard_at_ = read_().boottime;
}

std::vector<Guard::Change> Guard::poll() {
  std::vector<Change> changes;
  const auto now = read_();
  poll_step(now, changes);
  if (source_ != Source::trusted) poll_source(now, changes);
  return changes;
}

void Guard::poll_step(const Reading& now, std::vector<Change>& changes) {
  const auto distance = now.realtime - now.boottime - reference_.load();
  const auto noticed = noticed_.exchange(nanoseconds{0});
  const bool accepted = accepted_.exchange(false);
  const bool away = is_step(distance);
  if (!stepped_ && (away || is_step(noticed))) {
    stepped_ = true;
    synchronised_since_.reset();
    heard_at_.reset();  // what was said before the step does not count
    changes.push_back({Change::Kind::stepped, in_ms(away ? distance : noticed), {}});
  } else if (stepped_ && !away) {
    stepped_ = false;
    changes.push_back(
        {Change::Kind::restored, in_ms(distance), accepted ? "an operator accepted the time" : "stepped back"});
  }
}

void Guard::poll_source(const Reading& now, std::vector<Change>& changes) {
  const bool fresh = heard_at_ && now.boottime - *heard_at_ <= source_patience;
  const bool good = fresh && said_;
  if (!good) synchronised_since_.reset();
  if (good && !synchronised_since_) synchronised_since_ = now.boottime;
  if (good && now.boottime - *synchronised_since_ >= settling) {
    reference_ = now.realtime - now.boottime;
    if (stepped_) {
      stepped_ = false;
      changes.push_back({Change::Kind::restored, milliseconds{0},
                         fmt::format("{} said synchronised for {} s", to_string(source_), settling.count())});
    }
  }
  const auto why = !heard_at_                   ? fmt::format("{} was not heard yet", to_string(source_))
                   : fresh && said_.has_error() ? said_.error().detail
                                                : fmt::format("{} does not answer", to_string(source_));
  {
    const std::lock_guard lock(mutex_);
    why_ = why;
  }
  if (synchronised_.exchange(good) == good) return;
  changes.push_back(good ? Change{Change::Kind::synchronised, {}, {}} : Change{Change::Kind::unsynchronised, {}, why});
}

}  // namespace avseal::clock
