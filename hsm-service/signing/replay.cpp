#include "signing/replay.hpp"

namespace avseal::signing {

Result<void> PassportReplay::check(std::string_view signing_input, std::string_view call_id, UnixSeconds now) {
  const auto passport = tokens::sha256(as_bytes(signing_input));
  const auto call = tokens::sha256(as_bytes(call_id));
  const std::lock_guard lock(mutex_);
  while (!expiries_.empty() && expiries_.front().at < now) {
    calls_.erase(expiries_.front().passport);
    expiries_.pop_front();
  }
  if (const auto seen = calls_.find(passport); seen != calls_.end()) {
    if (seen->second == call) return {};
    return errors::make(Category::invalid, "passport-replayed",
                        "expected a PASSporT of this call, found one that came with another Call-ID");
  }
  if (calls_.size() >= max_entries_) {
    auto error = errors::make(Category::unavailable, "replay-cache-full",
                              "too many PASSporTs within the freshness window to tell a replay; raise replay_entries");
    error.retry_after = std::chrono::seconds{1};
    return error;
  }
  calls_.emplace(passport, call);
  expiries_.push_back({now + lifetime_, passport});
  return {};
}

std::size_t PassportReplay::size() const {
  const std::lock_guard lock(mutex_);
  return calls_.size();
}

}  // namespace avseal::signing
