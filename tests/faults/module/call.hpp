// One call of the caller: what rules do before it, and what is noted of it.
#pragma once

#include "tests/faults/module/state.hpp"

namespace avseal::faults {

class Call {
 public:
  // `first` is the caller's first argument, if it is a slot or a session.
  Call(State& state, Function function, Subject subject, CK_ULONG first);
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;
  ~Call();

  // Waits, hangs, crashes. Gives the code to return without a call of the real module, or nothing.
  std::optional<CK_RV> begin();

  // What the caller gets for what the real module gave.
  CK_RV end(CK_RV rv);

  [[nodiscard]] State& state() const { return state_; }
  [[nodiscard]] const Rules& rules() const { return *rules_; }
  [[nodiscard]] const std::optional<Token>& token() const { return token_; }
  [[nodiscard]] const std::optional<Session>& session() const { return session_; }
  [[nodiscard]] const Rule* rule(Effect effect) const { return State::find(*rules_, effect, token_); }

 private:
  std::optional<CK_RV> find_token();
  std::optional<CK_RV> strike(const Rule& rule);

  State& state_;
  Function function_;
  Subject subject_;
  CK_ULONG first_;
  std::shared_ptr<const Rules> rules_;
  std::optional<Token> token_;
  std::optional<Session> session_;
  std::optional<CK_RV> instead_;  // of the real module's code
};

// The caller was refused locking, or did not ask for it: its calls must not overlap.
void set_single_threaded(bool single);

}  // namespace avseal::faults
