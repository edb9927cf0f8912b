#include "tests/faults/module/state.hpp"

#include <algorithm>
#include <cstring>

namespace avseal::faults {

namespace {

constexpr unsigned epoch_shift = 32;  // the real module's handles are smaller
using std::chrono::steady_clock;

template <std::size_t Size>
std::string unpadded(const unsigned char (&text)[Size]) {
  std::string out(text, text + Size);
  out.erase(out.find_last_not_of(std::string_view(" \0", 2)) + 1);
  return out;
}

bool is_event(Effect effect) {
  return effect == Effect::invalidate_sessions || effect == Effect::logout || effect == Effect::swap_objects ||
         effect == Effect::renumber_objects;
}

}  // namespace

bool State::concerns(const Rule& rule, const std::optional<Token>& token) {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  if (rule.until.count() != 0 && now >= rule.until) return false;
  if (rule.token.empty() && rule.serial.empty()) return true;
  return token && (rule.token.empty() || rule.token == token->label) &&
         (rule.serial.empty() || rule.serial == token->serial);
}

const Rule* State::find(const Rules& rules, Effect effect, const std::optional<Token>& token) {
  const auto found = std::find_if(rules.begin(), rules.end(),
                                  [&](const Rule& rule) { return rule.effect == effect && concerns(rule, token); });
  return found == rules.end() ? nullptr : &*found;
}

Token State::token_in(CK_SLOT_ID real_slot) const {
  CK_TOKEN_INFO info{};
  if (real_.C_GetTokenInfo(real_slot, &info) != CKR_OK) return {real_slot, {}, {}};
  return {real_slot, unpadded(info.label), unpadded(info.serialNumber)};
}

CK_SLOT_ID State::shown(const Rules& rules, const Token& token) const {
  const Rule* const rule = find(rules, Effect::slots, token);
  return token.slot + (rule == nullptr ? 0 : rule->number);
}

std::optional<Token> State::token_shown_as(const Rules& rules, CK_SLOT_ID slot) const {
  if (std::none_of(rules.begin(), rules.end(), [](const Rule& rule) { return rule.effect == Effect::slots; })) {
    return token_in(slot);
  }
  CK_ULONG count = 0;
  std::vector<CK_SLOT_ID> slots;
  if (real_.C_GetSlotList(CK_FALSE, nullptr, &count) == CKR_OK) slots.resize(count);
  if (real_.C_GetSlotList(CK_FALSE, slots.data(), &count) != CKR_OK) return std::nullopt;
  for (const CK_SLOT_ID real : slots) {
    Token token = token_in(real);
    if (shown(rules, token) == slot) return token;
  }
  return std::nullopt;
}

std::optional<Session> State::session(CK_SESSION_HANDLE handle) {
  const std::lock_guard lock(mutex_);
  const auto found = sessions_.find(handle);
  if (found == sessions_.end()) return std::nullopt;
  found->second.used = steady_clock::now();
  return found->second;
}

void State::opened(CK_SESSION_HANDLE handle, const Token& token) {
  const std::lock_guard lock(mutex_);
  sessions_[handle] = Session{token, steady_clock::now(), false, 0, 0, 0};
  Facts& facts = directory_.facts();
  facts.token = {};
  std::memcpy(facts.token.data(), token.label.data(), std::min(token.label.size(), facts.token.size()));
  count_sessions();
}

void State::closed(CK_SESSION_HANDLE handle) {
  const std::lock_guard lock(mutex_);
  sessions_.erase(handle);
  count_sessions();
}

void State::all_closed(CK_SLOT_ID real_slot) {
  const std::lock_guard lock(mutex_);
  std::erase_if(sessions_, [real_slot](const auto& entry) { return entry.second.token.slot == real_slot; });
  count_sessions();
}

void State::forget_all() {
  const std::lock_guard lock(mutex_);
  sessions_.clear();
  objects_.clear();
  count_sessions();
}

// Under mutex_.
void State::count_sessions() {
  const auto open =
      std::count_if(sessions_.begin(), sessions_.end(), [](const auto& entry) { return !entry.second.gone; });
  directory_.facts().sessions = static_cast<std::uint64_t>(open);
  raise_to(directory_.facts().sessions_at_once, static_cast<std::uint64_t>(open));
}

std::size_t State::open_sessions(CK_SLOT_ID real_slot) {
  const std::lock_guard lock(mutex_);
  return static_cast<std::size_t>(std::count_if(sessions_.begin(), sessions_.end(), [real_slot](const auto& entry) {
    return !entry.second.gone && entry.second.token.slot == real_slot;
  }));
}

void State::signing(CK_SESSION_HANDLE handle, CK_MECHANISM_TYPE mechanism, CK_MECHANISM_TYPE hashes_for,
                    CK_OBJECT_HANDLE key) {
  const std::lock_guard lock(mutex_);
  const auto found = sessions_.find(handle);
  if (found == sessions_.end()) return;
  found->second.mechanism = mechanism;
  found->second.hashes_for = hashes_for;
  found->second.key = key;
  objects_[found->second.token.slot].signed_with.insert(key);
}

std::vector<CK_OBJECT_HANDLE> State::other_keys(const Session& session) {
  const std::lock_guard lock(mutex_);
  const auto& keys = objects_[session.token.slot].signed_with;
  std::vector<CK_OBJECT_HANDLE> others(keys.begin(), keys.end());
  std::erase(others, session.key);
  return others;
}

CK_OBJECT_HANDLE State::shown_object(const Token& token, CK_OBJECT_HANDLE real) {
  const std::lock_guard lock(mutex_);
  return real + (objects_[token.slot].epoch << epoch_shift);
}

std::optional<CK_OBJECT_HANDLE> State::real_object(const Token& token, CK_OBJECT_HANDLE shown) {
  const std::lock_guard lock(mutex_);
  const Objects& objects = objects_[token.slot];
  const CK_OBJECT_HANDLE real = shown & ((CK_OBJECT_HANDLE{1} << epoch_shift) - 1);
  if (shown >> epoch_shift == objects.epoch) return real;
  if (!objects.stale_means_other) return std::nullopt;
  for (const CK_OBJECT_HANDLE other : objects.signed_with) {
    if (other != real) return other;
  }
  return std::nullopt;
}

// Closes the real sessions that `which` chooses and remembers that they are gone. Under in_call_ (exclusive).
template <class Which>
void State::close_where(Which which) {
  const std::lock_guard lock(mutex_);
  for (auto& [handle, session] : sessions_) {
    if (session.gone || !which(session)) continue;
    real_.C_CloseSession(handle);
    session.gone = true;
    ++directory_.facts().injected;
    objects_[session.token.slot].signed_with.clear();
  }
  count_sessions();
}

void State::log_out(const Rule& rule) {
  const std::lock_guard lock(mutex_);
  for (auto& [handle, session] : sessions_) {
    if (session.gone || !concerns(rule, session.token)) continue;
    if (real_.C_Logout(handle) != CKR_OK) continue;  // of the whole token: the first session's does it
    ++directory_.facts().injected;
    objects_[session.token.slot].signed_with.clear();
  }
}

void State::apply_event(const Rule& rule) {
  const auto chosen = [&rule](const Session& session) { return concerns(rule, session.token); };
  if (rule.effect == Effect::invalidate_sessions) return close_where(chosen);
  if (rule.effect == Effect::logout) return log_out(rule);
  const std::lock_guard lock(mutex_);
  std::set<CK_SLOT_ID> slots;
  for (const auto& [handle, session] : sessions_) {
    if (chosen(session)) slots.insert(session.token.slot);
  }
  for (const CK_SLOT_ID slot : slots) {
    ++directory_.facts().injected;
    ++objects_[slot].epoch;
    objects_[slot].stale_means_other = rule.effect == Effect::swap_objects;
  }
}

void State::apply(const std::shared_ptr<const Rules>& rules) {
  const auto idles = [](const Rule& rule) { return rule.effect == Effect::idle_timeout; };
  const bool idle = std::any_of(rules->begin(), rules->end(), idles);
  {
    const std::lock_guard lock(mutex_);
    if (applied_ == rules && !idle) return;
    applied_ = rules;
  }
  const std::unique_lock nobody_calls(in_call_);
  for (const Rule& rule : *rules) {
    if (is_event(rule.effect) && events_done_.insert(rule.name).second) apply_event(rule);
    if (rule.effect == Effect::removed) {
      close_where([&rule](const Session& session) { return concerns(rule, session.token); });
    }
    if (idles(rule)) {
      const auto oldest = steady_clock::now() - rule.duration;
      close_where([&](const Session& session) { return session.used < oldest && concerns(rule, session.token); });
    }
  }
}

}  // namespace avseal::faults
