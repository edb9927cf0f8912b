#include "audit/history.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "audit/rules.hpp"
#include "tokens/json.hpp"

namespace avseal::audit {

namespace {

constexpr std::uint64_t max_checkpoint_uses = 1'000'000;  // in one run: an hour has 3,600

std::string place_of(std::uint64_t leaf) {
  return fmt::format("leaf {}", leaf);
}

std::optional<std::uint64_t> count(const boost::json::object& object, std::string_view name) {
  const auto found = object.find(name);
  const auto* value = found == object.end() ? nullptr : found->value().if_int64();
  if (value == nullptr || *value < 0) return std::nullopt;
  return static_cast<std::uint64_t>(*value);
}

std::string_view text(const boost::json::object& object, std::string_view name) {
  const auto found = object.find(name);
  const auto* value = found == object.end() ? nullptr : found->value().if_string();
  return value == nullptr ? std::string_view() : std::string_view(*value);
}

// [first, last], numbers from 1.
std::optional<std::pair<std::uint64_t, std::uint64_t>> run_of(const boost::json::value& run) {
  const auto* ends = run.if_array();
  if (ends == nullptr || ends->size() != 2 || !(*ends)[0].is_int64() || !(*ends)[1].is_int64()) return std::nullopt;
  const auto first = (*ends)[0].get_int64();
  const auto last = (*ends)[1].get_int64();
  if (first < 1 || last < first || static_cast<std::uint64_t>(last - first) >= max_checkpoint_uses) return std::nullopt;
  return std::pair{static_cast<std::uint64_t>(first), static_cast<std::uint64_t>(last)};
}

// When that happened of which a leaf tells: one that had to wait for the log says how long.
std::int64_t happened(const boost::json::object& details, std::int64_t time) {
  const auto waited = static_cast<std::int64_t>(count(details, "waited_ms").value_or(0));
  return time - std::min(waited, time);
}

// The configured origin is that of each year's log without the year.
bool is_of(std::string_view origin, std::string_view named) {
  return origin == named || origin.substr(0, origin.rfind('/')) == named;
}

}  // namespace

std::optional<Previous> previous_in(const boost::json::object& details) {
  const auto found = details.find("previous");
  const auto* named = found == details.end() ? nullptr : found->value().if_object();
  if (named == nullptr) return std::nullopt;
  return Previous{std::string(text(*named, "origin")), count(*named, "size").value_or(0),
                  std::string(text(*named, "root"))};
}

void History::begin(std::string origin, bool midway) {
  origin_ = std::move(origin);
  state_.midway = state_.midway || midway;
  previous_.reset();
}

void History::malformed(std::uint64_t leaf, std::string found) {
  verdict_.broken(rules::details_malformed, place_of(leaf), std::move(found));
}

void History::take(const Facts& facts) {
  for (const auto& breach : facts.breaches) verdict_.broken(breach);
  std::vector<User> users(facts.users.size());
  auto act = facts.acts.begin();
  auto use = facts.uses.begin();
  for (std::uint32_t leaf = 0; leaf < facts.times.size(); ++leaf) {
    check_order(facts, leaf);
    const bool is_act = act != facts.acts.end() && act->leaf == leaf;
    const bool is_start = is_act && act->event == "ledger.start";
    if (facts.first + leaf == 0 && !is_start) {
      verdict_.broken(rules::start_missing, place_of(0), "another event");
    }
    if (state_.stopped && !is_start) {
      verdict_.broken(rules::after_stop, place_of(facts.first + leaf), "another event behind ledger.stop");
      state_.stopped = false;
    }
    if (is_act) this->act(*act++, facts.first + leaf, facts.times[leaf]);
    for (; use != facts.uses.end() && use->leaf == leaf; ++use) this->use(facts, *use, users);
  }
}

void History::check_order(const Facts& facts, std::uint32_t leaf) {
  const auto time = facts.times[leaf];
  if (!first_time_) first_time_ = time;
  if (!state_.first_time) {
    state_.first_time = time;
  } else if (time < state_.last_time) {
    verdict_.broken(rules::time_back, place_of(facts.first + leaf),
                    fmt::format("its time is {} ms before that of the leaf before it", state_.last_time - time));
  }
  state_.time_before = state_.last_time;
  state_.last_time = std::max(state_.last_time, time);
}

void History::act(const Facts::Act& act, std::uint64_t leaf, std::int64_t time) {
  if (act.event == "ledger.start") {
    start(act.details, leaf, time);
  } else if (act.event == "worker.lost") {
    worker_lost(act.details, leaf, time);
  } else if (act.event == "worker.connected") {
    worker_told(act.details, happened(act.details, time), leaf, time);
  } else if (act.event == "keys.loaded") {
    keys_loaded(act, leaf, time);
  } else {
    checkpoint_uses(act.details, Told::once, leaf, time);
  }
  state_.stopped = act.event == "ledger.stop";
  if (act.event.starts_with("ledger.")) state_.uses_told = time;
}

void History::start(const boost::json::object& details, std::uint64_t leaf, std::int64_t time) {
  run_begins(details, leaf);
  // What is remembered of earlier runs, as long as no checkpoint was signed since: they may have told it themselves.
  checkpoint_uses(details, Told::maybe_twice, leaf, time);
}

void History::run_begins(const boost::json::object& details, std::uint64_t leaf) {
  if (leaf == 0) {
    if (!is_of(origin_, text(details, "origin"))) {
      verdict_.broken(rules::start_missing, place_of(0),
                      fmt::format("ledger.start of origin \"{}\" in the log \"{}\"", text(details, "origin"), origin_));
    }
    previous_ = previous_in(details);
    if (previous_ && !details.contains("interrupted")) return;
  }
  if (state_.stopped) {
    state_.counters.began_again();
  } else if (state_.first_time && (leaf != 0 || previous_)) {
    state_.counters.crashed(state_.time_before);
    verdict_.note("run-not-stopped", place_of(leaf),
                  "the node started again and its run before had not ended with ledger.stop",
                  "ask the operator for the cause: a crash, a power cut, or kill");
  }
  if (const auto torn = count(details, "torn_bytes"); torn) {
    verdict_.note("torn-tail", place_of(leaf),
                  fmt::format("this start cut {} bytes off the log that were never on disk whole", *torn));
  }
}

void History::keys_loaded(const Facts::Act& act, std::uint64_t leaf, std::int64_t time) {
  state_.keys.loaded(act.details, state_.midway && !state_.keys_named, leaf, time, verdict_);
  state_.keys_named = true;
  // What happened before a smaller limit is judged by its own.
  state_.unlogged = std::max(state_.unlogged, count(act.details, "unlogged_limit").value_or(0));
  for (const auto& name : state_.keys.names_of_kind("ledger")) state_.counters.signs_checkpoints(name);
}

void History::worker_lost(const boost::json::object& details, std::uint64_t leaf, std::int64_t time) {
  const auto worker = text(details, "worker");
  const auto in_flight = count(details, "in_flight");
  if (worker.empty() || !in_flight) return malformed(leaf, "worker.lost without `worker` or `in_flight`");
  const auto most = state_.unlogged == 0 ? max_in_flight : std::min(max_in_flight, state_.unlogged);
  if (*in_flight > most) {
    verdict_.broken(rules::loss_too_large, place_of(leaf),
                    fmt::format("worker {} with {} requests in flight, of at most {}", worker, *in_flight, most));
  }
  state_.counters.lost(worker, std::min(*in_flight, most), text(details, "id"), happened(details, time));
  worker_told(details, 0, leaf, time);
}

// How far the counters of a worker were when it was connected to, or as far as the node knew when it was lost.
void History::worker_told(const boost::json::object& details, std::int64_t since, std::uint64_t leaf,
                          std::int64_t time) {
  const auto worker = text(details, "worker");
  const auto found = details.find("last_sequences");
  const auto* last = found == details.end() ? nullptr : found->value().if_object();
  if (worker.empty() || last == nullptr) return malformed(leaf, "a worker's leaf without `worker` or `last_sequences`");
  for (const auto& [key, sequence] : *last) {
    const auto* number = sequence.if_int64();
    if (number == nullptr || *number < 0) return malformed(leaf, "a worker's leaf with a sequence that is no number");
    auto& counter = state_.counters.of(worker, std::string_view(key), state_.midway);
    state_.counters.told(counter, static_cast<std::uint64_t>(*number), since, leaf, time, verdict_);
  }
}

// Uses of keys for checkpoints, which have no leaves of their own.
void History::checkpoint_uses(const boost::json::object& details, Told told, std::uint64_t leaf, std::int64_t time) {
  const auto found = details.find("uses");
  if (found == details.end()) return;
  const auto* list = found->value().if_array();
  bool good = list != nullptr;
  for (std::size_t i = 0; good && i < list->size(); ++i) {
    const auto* entry = (*list)[i].if_object();
    good = entry != nullptr && add_uses(*entry, told, leaf, time);
  }
  if (!good) malformed(leaf, "`uses` that are not worker, key, kid, and runs of sequences");
}

bool History::add_uses(const boost::json::object& entry, Told told, std::uint64_t leaf, std::int64_t time) {
  const auto found = entry.find("sequences");
  const auto* runs = found == entry.end() ? nullptr : found->value().if_array();
  const auto worker = text(entry, "worker");
  const auto key = text(entry, "key");
  const Facts::User user{std::string(worker), std::string(key), std::string(text(entry, "kid")), "ledger"};
  if (runs == nullptr || worker.empty() || key.empty() || user.kid.empty()) return false;
  auto& counter = state_.counters.of(worker, key, state_.midway);
  const auto* state = state_.keys.find(user.kid);
  if (state == nullptr || state->kind == "ledger") state_.counters.signs_checkpoints(key);
  bool fresh = told == Told::once;
  for (const auto& run : *runs) {
    const auto ends = run_of(run);
    if (!ends) return false;
    const auto [first, last] = *ends;
    if (told == Told::once) {
      state_.counters.add(counter, first, last, leaf, time, verdict_);
    } else {
      for (auto number = first; number <= last; ++number) {
        fresh = counter.numbers.add(number, number, time) == Numbers::Added::fresh || fresh;
      }
    }
    uses_ += last - first + 1;
  }
  // They may have been made at any time since such uses were told last, by a key that is retired by now.
  if (fresh) check_key(user, state, leaf, state_.uses_told);
  return true;
}

void History::use(const Facts& facts, const Facts::Use& use, std::vector<User>& users) {
  const auto leaf = facts.first + use.leaf;
  const auto time = facts.times[use.leaf];
  const auto& named = facts.users[use.user];
  auto& user = users[use.user];
  if (user.counter == nullptr) user.counter = &state_.counters.of(named.worker, named.key, state_.midway);
  state_.counters.add(*user.counter, use.sequence, use.sequence, leaf, time, verdict_);
  ++uses_;
  check_key(named, user.state, leaf, time);
}

void History::check_key(const Facts::User& user, const KeyState*& state, std::uint64_t leaf, std::int64_t time) {
  if (state == nullptr) state = state_.keys.find(user.kid);
  if (state != nullptr) return KeyHistory::check(*state, user.key, user.kind, leaf, time, verdict_);
  if (state_.midway && !state_.keys_named) return;
  verdict_.broken(rules::key_unknown, place_of(leaf),
                  fmt::format("a use of key {} with the thumbprint {}", user.key, user.kid));
}

std::optional<std::map<std::string, KeyTotal>> History::totals() const {
  if (state_.midway) return std::nullopt;
  return state_.counters.totals();
}

void History::finish() {
  state_.counters.judge({state_.first_time.value_or(0), state_.last_time, state_.stopped, state_.unlogged}, verdict_);
}

}  // namespace avseal::audit
