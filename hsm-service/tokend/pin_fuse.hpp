// One failed login per token and PIN: what all processes that log in to a token remember of it.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "pkcs11/session.hpp"
#include "tokend/state_file.hpp"

namespace avseal::tokend {

// The tag of a PIN is its scrypt with the token's salt, cut to 4 bits: enough to see, 15 of 16 times, that it was
// changed, and no help in finding it, however short it is.
struct FuseState {
  using Tag = std::uint8_t;  // 0 to 15
  std::array<std::uint8_t, 16> salt{};
  std::optional<Tag> good;     // of the PIN that logged in last
  std::uint16_t burned = 0;    // a bit for each tag of a PIN that the token refused
  std::optional<Tag> attempt;  // begun, and no end was recorded
  unsigned forgiven = 0;       // attempts with the good PIN whose end was not recorded, since the last good one
};

// The file's text. Reason "pin-fuse-unreadable".
std::string format_fuse(const FuseState& state);
Result<FuseState> parse_fuse(std::string_view text);

// The turn of this process to log in to the token, as long as this object lives.
class PinFuse {
 public:
  // Waits until no other process logs in to that token. Reasons "state-unusable", "pin-fuse-unreadable".
  static Result<PinFuse> lock(const std::filesystem::path& state_directory, const pkcs11::Token& token);

  // Session::login, unless a PIN like this was refused already ("pin-burned"). The attempt is on disk before C_Login.
  // One whose end was not recorded, for the process died in it, is forgiven three times if its PIN was good the last
  // time, and else counts as refused.
  Result<void> login(pkcs11::Session& session, const Secret& pin);

  // An operator's decision: one attempt, whatever is remembered and whatever the token's flags say short of a lock.
  // What was remembered is forgotten if the token takes the PIN.
  Result<void> spend(pkcs11::Session& session, const Secret& pin);

 private:
  PinFuse(StateFile file, FuseState state) : file_(std::move(file)), state_(state) {}

  Result<void> settle(std::string_view token);
  Result<void> attempt(pkcs11::Session& session, const Secret& pin, FuseState::Tag tag, pkcs11::Session::Guard guard);
  Result<void> write() const { return file_.replace(format_fuse(state_)); }

  StateFile file_;
  FuseState state_;
};

}  // namespace avseal::tokend
