#include "tests/faults/module/call.hpp"

#include <algorithm>
#include <csignal>
#include <thread>

namespace avseal::faults {

namespace {

using std::chrono::steady_clock;
using namespace std::chrono_literals;

constexpr auto look_again = 2ms;  // whether a hang is over
std::atomic<bool> single_threaded = false;

// Each of so many lanes serves one call at a time. Lanes are booked ahead, so that late wake-ups cost no capacity.
class Lanes {
 public:
  steady_clock::time_point book(const Rule& rule) {
    const std::lock_guard lock(mutex_);
    auto& free_at = lanes_[rule.name];
    free_at.resize(rule.number);
    auto& lane = *std::min_element(free_at.begin(), free_at.end());
    lane = std::max(lane, steady_clock::now()) + rule.duration;
    return lane;
  }

 private:
  std::mutex mutex_;
  std::map<std::string, std::vector<steady_clock::time_point>> lanes_;
};

Lanes& lanes() {
  static auto* const all = new Lanes;  // outlives the process's exit handlers
  return *all;
}

[[noreturn]] void crash(int signal) {
  ::signal(signal, SIG_DFL);
  ::raise(signal);
  ::_exit(128 + signal);
}

}  // namespace

void set_single_threaded(bool single) {
  single_threaded = single;
}

Call::Call(State& state, Function function, Subject subject, CK_ULONG first)
    : state_(state), function_(function), subject_(subject), first_(first) {
  Facts& facts = state_.directory().facts();
  const std::uint64_t now = ++facts.calls_now;
  raise_to(facts.calls_at_once, now);
  if (now > 1 && single_threaded) ++facts.overlaps;
}

Call::~Call() {
  --state_.directory().facts().calls_now;
}

std::optional<CK_RV> Call::begin() {
  rules_ = state_.directory().rules();
  state_.apply(rules_);
  if (const auto rv = find_token()) return rv;
  for (const Rule& rule : *rules_) {
    if (rule.effect > Effect::latency || !rule.functions.test(static_cast<std::size_t>(function_))) continue;
    if (!State::concerns(rule, token_) || !state_.directory().strikes(rule)) continue;
    if (const auto rv = strike(rule)) return rv;
  }
  const Rule* const removed = rule(Effect::removed);
  if (removed == nullptr || subject_ == Subject::none || function_ == Function::C_GetSlotInfo) return std::nullopt;
  return subject_ == Subject::slot ? CKR_TOKEN_NOT_PRESENT : removed->code;
}

std::optional<CK_RV> Call::find_token() {
  if (subject_ == Subject::session) {
    session_ = state_.session(first_);
    if (session_) token_ = session_->token;
  } else if (subject_ == Subject::slot) {
    token_ = state_.token_shown_as(*rules_, first_);
    if (!token_) return CKR_SLOT_ID_INVALID;
  }
  return std::nullopt;
}

std::optional<CK_RV> Call::strike(const Rule& rule) {
  switch (rule.effect) {
    case Effect::return_code:
      if (!rule.forwarded) return rule.code;
      instead_ = rule.code;
      return std::nullopt;
    case Effect::delay:
      std::this_thread::sleep_for(rule.duration);
      return std::nullopt;
    case Effect::latency:
      std::this_thread::sleep_until(lanes().book(rule));
      return std::nullopt;
    case Effect::crash:
      --state_.directory().facts().calls_now;
      crash(rule.signal);
    default: {  // hang
      const auto stands = [&](const Rule& other) { return other.name == rule.name && State::concerns(other, token_); };
      for (auto now = rules_; std::any_of(now->begin(), now->end(), stands); now = state_.directory().rules()) {
        std::this_thread::sleep_for(look_again);
      }
      return std::nullopt;
    }
  }
}

CK_RV Call::end(CK_RV rv) {
  const CK_RV given = instead_.value_or(rv);
  count_code(state_.directory().facts().functions[static_cast<std::size_t>(function_)], given);
  return given;
}

}  // namespace avseal::faults
