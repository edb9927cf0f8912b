#include "audit/counters.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "audit/rules.hpp"
#include "audit/saved.hpp"

namespace avseal::audit {

namespace {

std::string place_of(const Counter& counter) {
  return fmt::format("worker {}, key {}", counter.worker, counter.key);
}

std::string range_text(std::uint64_t first, std::uint64_t last) {
  return first == last ? fmt::format("number {}", first) : fmt::format("numbers {} to {}", first, last);
}

void scattered(const Counter& counter, std::uint64_t first, std::uint64_t last, std::uint64_t leaf, Verdict& verdict) {
  verdict.broken(rules::numbers_scattered, fmt::format("leaf {}", leaf),
                 fmt::format("{} of {}, with more than {} gaps before it", range_text(first, last), place_of(counter),
                             Numbers::max_runs));
}

}  // namespace

Counter& Counters::of(std::string_view worker, std::string_view key, bool begins_midway) {
  const auto [found, fresh] = counters_.try_emplace(fmt::format("{}\n{}", worker, key));
  Counter& counter = found->second;
  if (fresh) {
    counter.worker = worker;
    counter.key = key;
    counter.begun_before = begins_midway;
    if (after_crash_) counter.numbers.crashed(0);
  }
  return counter;
}

void Counters::add(Counter& counter, std::uint64_t first, std::uint64_t last, std::uint64_t leaf, std::int64_t time,
                   Verdict& verdict) {
  switch (counter.numbers.add(first, last, time)) {
    case Numbers::Added::fresh:
      return;
    case Numbers::Added::doubled:
      return verdict.broken(
          rules::number_doubled, fmt::format("leaf {}", leaf),
          fmt::format("{} of {}, of which an earlier leaf tells", range_text(first, last), place_of(counter)));
    case Numbers::Added::too_many:
      return scattered(counter, first, last, leaf, verdict);
  }
}

void Counters::told(Counter& counter, std::uint64_t last, std::int64_t since, std::uint64_t leaf, std::int64_t time,
                    Verdict& verdict) {
  if (counter.numbers.told(last, time, since) == Numbers::Added::too_many)
    scattered(counter, last, last, leaf, verdict);
}

void Counters::lost(std::string_view worker, std::uint64_t in_flight, std::string_view id, std::int64_t time) {
  if (!id.empty() && !loss_ids_.emplace(id).second) return;
  if (in_flight != 0) losses_[std::string(worker)].push_back({time, in_flight});
}

void Counters::crashed(std::int64_t time) {
  after_crash_ = true;
  for (auto& [name, counter] : counters_) {
    counter.numbers.crashed(time - settling_time_of(counter));
  }
}

std::int64_t Counters::settling_time_of(const Counter& counter) const {
  return checkpoint_keys_.count(counter.key) != 0 ? checkpoint_settling_time : settling_time;
}

void Counters::judge(const End& end, Verdict& verdict) const {
  auto losses = losses_;
  std::map<std::string_view, const Counter*> in_order;
  for (const auto& [name, counter] : counters_) in_order.emplace(name, &counter);
  for (const auto& [name, counter] : in_order) judge(*counter, end, losses[counter->worker], verdict);
}

std::map<std::string, KeyTotal> Counters::totals() const {
  std::map<std::string, KeyTotal> all;
  for (const auto& [name, counter] : counters_) {
    auto& total = all[counter.key];
    total.signatures += counter.numbers.highest();
    const auto losses = losses_.find(counter.worker);
    if (losses == losses_.end()) continue;
    for (const auto& loss : losses->second) total.in_flight += loss.in_flight;
  }
  return all;
}

void Counters::judge(const Counter& counter, const End& end, std::vector<Loss>& losses, Verdict& verdict) const {
  const auto settling = settling_time_of(counter);
  auto gaps = counter.numbers.gaps();
  if (counter.begun_before) {
    std::erase_if(gaps, [&](const auto& gap) { return gap.first == 1 || gap.noticed < end.begin + settling; });
  }

  std::uint64_t awaited = 0;
  std::uint64_t unlogged = 0;
  std::uint64_t lost = 0;
  std::map<unsigned, std::uint64_t> of_crash;
  for (const auto& gap : gaps) {
    std::uint64_t left = gap.size();
    if (gap.crash != 0 && of_crash[gap.crash] + left <= end.unlogged) {
      of_crash[gap.crash] += left;
      unlogged += left;
      continue;
    }
    if (!end.stopped && gap.noticed >= end.time - settling && awaited + left <= end.unlogged) {
      awaited += left;
      continue;
    }
    // The latest first: a gap that was noticed earlier can be excused only by those before.
    for (auto loss = losses.rbegin(); loss != losses.rend(); ++loss) {
      if (gap.noticed < loss->time - settling || gap.since > loss->time + in_flight_time) continue;
      const auto excused = std::min(left, loss->in_flight);
      loss->in_flight -= excused;
      left -= excused;
    }
    lost += gap.size() - left;
    if (left == 0) continue;
    verdict.broken(rules::numbers_missing, place_of(counter),
                   fmt::format("no leaf tells of {}{}", range_text(gap.first, gap.last),
                               left == gap.size() ? std::string()
                                                  : fmt::format("; recorded deaths of the worker account for {} of "
                                                                "them, not for {}",
                                                                gap.size() - left, left)));
  }
  if (awaited != 0) {
    verdict.note("numbers-awaited", place_of(counter),
                 fmt::format("{} of the last signatures have no leaf yet", awaited), "verify again later");
  }
  if (lost != 0) {
    verdict.note("numbers-of-death", place_of(counter),
                 fmt::format("{} signatures have no leaf: recorded deaths of the worker, or of connections to it, with "
                             "requests in flight account for them",
                             lost),
                 "if there are many, compare with the HSM's own log");
  }
  if (unlogged != 0) {
    verdict.note("numbers-of-crash", place_of(counter),
                 fmt::format("{} signatures have no leaf: the node's run ended without ledger.stop before it could "
                             "write them, and released nothing without its leaf",
                             unlogged),
                 "ask the operator for the cause of that end");
  }
}

boost::json::object Counters::saved() const {
  boost::json::object counters;
  for (const auto& [name, counter] : counters_) {
    auto& of_worker = counters.emplace(counter.worker, boost::json::object()).first->value().as_object();
    of_worker[counter.key] = {{"begun_before", counter.begun_before}, {"numbers", counter.numbers.saved()}};
  }
  boost::json::object losses;
  for (const auto& [worker, list] : losses_) {
    boost::json::array of_worker;
    for (const auto& loss : list) of_worker.push_back(boost::json::array{loss.time, loss.in_flight});
    losses[worker] = std::move(of_worker);
  }
  return {{"after_crash", after_crash_},
          {"checkpoint_keys", boost::json::array(checkpoint_keys_.begin(), checkpoint_keys_.end())},
          {"counters", std::move(counters)},
          {"loss_ids", boost::json::array(loss_ids_.begin(), loss_ids_.end())},
          {"losses", std::move(losses)}};
}

Result<Counters> Counters::restored(tokens::ObjectReader reader) {
  Counters all;
  AVSEAL_TRY(all.after_crash_, reader.boolean("after_crash"));
  AVSEAL_TRY(const auto keys, reader.strings("checkpoint_keys"));
  all.checkpoint_keys_.insert(keys.begin(), keys.end());
  AVSEAL_TRY(const auto ids, reader.strings("loss_ids"));
  all.loss_ids_.insert(ids.begin(), ids.end());
  AVSEAL_TRY(const auto counters, reader.object("counters"));
  for (const auto& [worker, value] : counters.raw()) AVSEAL_CHECK(all.restore_counters(worker, value));
  AVSEAL_TRY(const auto losses, reader.object("losses"));
  for (const auto& [worker, value] : losses.raw()) AVSEAL_CHECK(all.restore_losses(worker, value));
  return all;
}

Result<void> Counters::restore_counters(std::string_view worker, const boost::json::value& saved) {
  AVSEAL_TRY(const auto keys, tokens::ObjectReader::open(saved));
  for (const auto& [key, value] : keys.raw()) {
    AVSEAL_TRY(auto reader, tokens::ObjectReader::open(value));
    AVSEAL_TRY(auto numbers, reader.object("numbers"));
    auto& counter = of(worker, std::string_view(key), false);
    AVSEAL_TRY(counter.begun_before, reader.boolean("begun_before"));
    AVSEAL_TRY(counter.numbers, Numbers::restored(std::move(numbers)));
  }
  return {};
}

Result<void> Counters::restore_losses(std::string_view worker, const boost::json::value& saved) {
  const auto* list = saved.if_array();
  if (list == nullptr) return saved_malformed("losses that are no list");
  for (const auto& value : *list) {
    const auto* loss = value.if_array();
    const bool good = loss != nullptr && loss->size() == 2 && (*loss)[0].is_int64() && (*loss)[1].is_int64();
    if (!good) return saved_malformed("a loss that is not time and number");
    const auto time = (*loss)[0].get_int64();
    const auto in_flight = static_cast<std::uint64_t>((*loss)[1].get_int64());
    if (!is_time(time) || in_flight > max_in_flight) return saved_malformed("a loss that none was");
    lost(worker, in_flight, {}, time);
  }
  return {};
}

}  // namespace avseal::audit
