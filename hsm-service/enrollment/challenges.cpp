#include "enrollment/challenges.hpp"

#include <fmt/format.h>

#include "tokens/base64.hpp"
#include "tokens/digest.hpp"

namespace avseal::enrollment {
namespace {

constexpr std::size_t id_size = 16;

Error in_progress() {
  auto error = errors::make(Category::conflict, "challenge-in-progress",
                            "the answer to this challenge came before and is being judged; send it again");
  error.retry_after = std::chrono::seconds(1);
  return error;
}

Error lost(Category category, std::string_view reason, std::string_view found) {
  return errors::make(category, reason, fmt::format("the challenge {}; ask for a new one", found));
}

}  // namespace

// What expired is dropped at once, that it was there a while later.
void Challenges::forget(Time now) {
  for (const auto& [expires, id] : order_) {
    if (expires > now) break;
    const auto found = entries_.find(id);
    if (found != entries_.end() && found->second.challenge) {
      found->second.challenge.reset();
      --waiting_;
    }
  }
  while (!order_.empty() && (order_.front().first + lifetime_ <= now || order_.size() > 2 * most_)) {
    entries_.erase(order_.front().second);
    order_.pop_front();
  }
}

Result<void> Challenges::room(Time now) {
  forget(now);
  if (waiting_ < most_) return {};
  auto error = errors::make(Category::too_many_requests, "challenges-exhausted",
                            fmt::format("{} enrolments are under way; try again later", waiting_));
  error.retry_after = lifetime_;
  return error;
}

Result<void> Challenges::check_room(Time now) {
  const std::lock_guard lock(mutex_);
  return room(now);
}

Result<std::string> Challenges::add(Challenge challenge, Time now) {
  auto id = tokens::base64url_encode(tokens::random_bytes(id_size));
  const std::lock_guard lock(mutex_);
  AVSEAL_CHECK(room(now));
  entries_.emplace(id, Entry{now + lifetime_, std::move(challenge)});
  order_.emplace_back(now + lifetime_, id);
  ++waiting_;
  return id;
}

Result<Challenge> Challenges::take(const std::string& id, Time now) {
  const std::lock_guard lock(mutex_);
  forget(now);
  const auto found = entries_.find(id);
  if (found == entries_.end())
    return lost(Category::not_found, "challenge-unknown", "is not known here, or was long ago");
  auto& entry = found->second;
  if (entry.state == Entry::State::taken) return in_progress();
  if (entry.state == Entry::State::used) return lost(Category::conflict, "challenge-used", "was answered before");
  if (entry.expires <= now) return lost(Category::conflict, "challenge-expired", "has expired");
  Challenge challenge = std::move(*entry.challenge);
  entry.challenge.reset();
  entry.state = Entry::State::taken;
  --waiting_;
  return challenge;
}

void Challenges::answered(const std::string& id) {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(id);
  if (found != entries_.end()) found->second.state = Entry::State::used;
}

}  // namespace avseal::enrollment
