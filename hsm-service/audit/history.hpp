// Judges what leaves say in the order of their logs: one period after the other, or from somewhere within one.
#pragma once

#include <optional>

#include "audit/counters.hpp"
#include "audit/facts.hpp"
#include "audit/keys.hpp"

namespace avseal::audit {

// The log before this one, as ledger.start of leaf 0 names it.
struct Previous {
  std::string origin;
  std::uint64_t size = 0;
  std::string root;  // base64
};

// Of the details of ledger.start.
std::optional<Previous> previous_in(const boost::json::object& details);

// What is known behind a leaf of all those before it.
struct HistoryState {
  Counters counters;
  KeyHistory keys;
  bool midway = false;      // what was before the first leaf that was read is not known
  bool keys_named = false;  // by a leaf of what was read
  bool stopped = false;     // the leaf before is ledger.stop
  std::optional<std::int64_t> first_time;
  std::int64_t last_time = 0;
  std::int64_t time_before = 0;  // of the leaf before
  std::int64_t uses_told = 0;    // uses for checkpoints that no leaf tells yet were made after this time; 0: not known
  std::uint64_t unlogged = 0;
};

class History {
 public:
  explicit History(Verdict& verdict) : verdict_(verdict) {}

  // Goes on behind the leaf of that state, instead of midway.
  void resume(HistoryState state) { state_ = std::move(state); }

  // The leaves of another log follow. `midway`: what is before them is not at hand, so from then on counters and keys
  // may have been known from there.
  void begin(std::string origin, bool midway);
  // In order; facts.first is where the leaves before ended.
  void take(const Facts& facts);
  // After the last leaf of all.
  void finish();

  [[nodiscard]] const std::optional<Previous>& previous() const { return previous_; }  // of this log
  [[nodiscard]] std::int64_t first_time() const { return first_time_.value_or(0); }    // of what was taken
  [[nodiscard]] std::int64_t last_time() const { return state_.last_time; }
  [[nodiscard]] std::uint64_t uses() const { return uses_; }
  // By key; nothing if leaves before those that were read are not at hand.
  [[nodiscard]] std::optional<std::map<std::string, KeyTotal>> totals() const;
  [[nodiscard]] const HistoryState& state() const { return state_; }

 private:
  // Found at its first use, for what is before that may change them.
  struct User {
    Counter* counter = nullptr;
    const KeyState* state = nullptr;
  };
  void check_order(const Facts& facts, std::uint32_t leaf);
  void act(const Facts::Act& act, std::uint64_t leaf, std::int64_t time);
  void start(const boost::json::object& details, std::uint64_t leaf, std::int64_t time);
  void run_begins(const boost::json::object& details, std::uint64_t leaf);
  void keys_loaded(const Facts::Act& act, std::uint64_t leaf, std::int64_t time);
  void worker_lost(const boost::json::object& details, std::uint64_t leaf, std::int64_t time);
  void worker_told(const boost::json::object& details, std::int64_t since, std::uint64_t leaf, std::int64_t time);
  enum class Told { once, maybe_twice };
  void checkpoint_uses(const boost::json::object& details, Told told, std::uint64_t leaf, std::int64_t time);
  bool add_uses(const boost::json::object& entry, Told told, std::uint64_t leaf, std::int64_t time);
  void use(const Facts& facts, const Facts::Use& use, std::vector<User>& users);
  void check_key(const Facts::User& user, const KeyState*& state, std::uint64_t leaf, std::int64_t time);
  void malformed(std::uint64_t leaf, std::string found);

  Verdict& verdict_;
  HistoryState state_;
  std::string origin_;
  std::optional<Previous> previous_;
  std::optional<std::int64_t> first_time_;
  std::uint64_t uses_ = 0;
};

}  // namespace avseal::audit
