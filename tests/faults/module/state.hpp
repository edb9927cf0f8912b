// What this process knows of the real module's tokens: its slots, its sessions, and the object handles it gave out.
#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <shared_mutex>

#include "tests/faults/module/directory.hpp"

namespace avseal::faults {

struct Token {
  CK_SLOT_ID slot = 0;  // of the real module
  std::string label;
  std::string serial;
};

struct Session {
  Token token;
  std::chrono::steady_clock::time_point used;
  bool gone = false;                 // closed by a rule, not by the caller
  CK_MECHANISM_TYPE mechanism = 0;   // of the signature begun: the real module's,
  CK_MECHANISM_TYPE hashes_for = 0;  // and the one that it stands for, or 0
  CK_OBJECT_HANDLE key = 0;
};

class State {
 public:
  State(Directory& directory, const CK_FUNCTION_LIST& real) : directory_(directory), real_(real) {}

  [[nodiscard]] Directory& directory() { return directory_; }
  [[nodiscard]] const CK_FUNCTION_LIST& real() const { return real_; }

  // The first rule of an effect for the token; for none: of rules for every token. Null if there is none.
  static const Rule* find(const Rules& rules, Effect effect, const std::optional<Token>& token);
  static bool concerns(const Rule& rule, const std::optional<Token>& token);  // and stands still

  // Slots. The caller's number of a slot is the real one and what `slots` adds.
  [[nodiscard]] Token token_in(CK_SLOT_ID real_slot) const;
  [[nodiscard]] CK_SLOT_ID shown(const Rules& rules, const Token& token) const;
  [[nodiscard]] std::optional<Token> token_shown_as(const Rules& rules, CK_SLOT_ID slot) const;

  // Sessions.
  std::optional<Session> session(CK_SESSION_HANDLE handle);  // and notes its use
  void opened(CK_SESSION_HANDLE handle, const Token& token);
  void closed(CK_SESSION_HANDLE handle);
  void all_closed(CK_SLOT_ID real_slot);
  void forget_all();
  [[nodiscard]] std::size_t open_sessions(CK_SLOT_ID real_slot);
  void signing(CK_SESSION_HANDLE handle, CK_MECHANISM_TYPE mechanism, CK_MECHANISM_TYPE hashes_for,
               CK_OBJECT_HANDLE key);
  std::vector<CK_OBJECT_HANDLE> other_keys(const Session& session);  // that signed, without the session's

  // Object handles as the caller has them, and the real ones.
  CK_OBJECT_HANDLE shown_object(const Token& token, CK_OBJECT_HANDLE real);
  std::optional<CK_OBJECT_HANDLE> real_object(const Token& token,
                                              CK_OBJECT_HANDLE shown);  // nothing: it means nothing now

  // Does what rules do to sessions, logins and objects: once per event, and while tokens are removed or sessions idle.
  void apply(const std::shared_ptr<const Rules>& rules);

  // Held (shared) during a call of the real module, so that no session is closed under it.
  [[nodiscard]] std::shared_lock<std::shared_mutex> calling() { return std::shared_lock(in_call_); }

 private:
  struct Objects {
    CK_ULONG epoch = 0;
    bool stale_means_other = false;
    std::set<CK_OBJECT_HANDLE> signed_with;
  };

  void apply_event(const Rule& rule);
  template <class Which>
  void close_where(Which which);
  void log_out(const Rule& rule);
  void count_sessions();

  Directory& directory_;
  const CK_FUNCTION_LIST& real_;
  std::shared_mutex in_call_;
  std::mutex mutex_;
  std::map<CK_SESSION_HANDLE, Session> sessions_;
  std::map<CK_SLOT_ID, Objects> objects_;
  std::set<std::string> events_done_;
  std::shared_ptr<const Rules> applied_;
};

}  // namespace avseal::faults
