#pragma once

#include <memory>

#include <boost/asio/awaitable.hpp>

#include "ledger/event.hpp"

namespace avseal::keyring {
class Keyring;
}

namespace avseal::ledger {

class Ledger;

// A reserved place in the ledger for one event, and the right to sign for it. Move-only. Obtained from
// Ledger::open_slot(); a slot that dies without commit() is appended as discarded, "abandoned".
class Slot {
 public:
  Slot(Slot&& other) noexcept;
  Slot& operator=(Slot&& other) noexcept;
  ~Slot();

  // Appends the leaf and resumes when its group commit is on disk; gives its place. Nothing that was signed under the
  // slot may be released before. Error: "ledger-unavailable", "ledger-full", and then the signature must be thrown
  // away.
  boost::asio::awaitable<Result<Position>> commit(Outcome outcome, std::string_view reason = {});

 private:
  friend class Ledger;
  friend class avseal::keyring::Keyring;
  struct Pending;
  explicit Slot(std::unique_ptr<Pending> pending) noexcept;
  void used(KeyUse use);  // called by the keyring for every signature made, also those it discards

  std::unique_ptr<Pending> pending_;
};

// The right to have a checkpoint signed; only ledger/ can make one.
class CheckpointPermit {
 public:
  CheckpointPermit(const CheckpointPermit&) = delete;
  CheckpointPermit& operator=(const CheckpointPermit&) = delete;

 private:
  friend class Checkpointer;
  CheckpointPermit() = default;
};

}  // namespace avseal::ledger
