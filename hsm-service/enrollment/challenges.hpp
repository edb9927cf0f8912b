#pragma once

#include <chrono>
#include <deque>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>

#include "attestation/admission.hpp"
#include "enrollment/attested_requests.hpp"
#include "store/records.hpp"

namespace avseal::enrollment {

// What the first leg found and the second one needs.
struct Challenge {
  Bytes nonce;
  Bytes secret;  // that only the TPM can tell; empty in a renewal
  tokens::Impu impu;
  std::optional<std::string> code_sha256;
  attestation::DeviceKeys keys;
  attestation::TpmIdentity tpm;
  store::Device device;  // as it will be if all goes well
  std::optional<EkClaim> ek;
  std::string serial;
  std::vector<Error> findings;
};

// Challenges that wait for their answer: each is given away once. Bounded, in memory, shared by the io threads of one
// process.
class Challenges {
 public:
  using Time = std::chrono::steady_clock::time_point;
  Challenges(std::size_t most, std::chrono::seconds lifetime) : most_(most), lifetime_(lifetime) {}

  // The id, 16 random bytes in base64url. Reason "challenges-exhausted" (too_many_requests).
  Result<std::string> add(Challenge challenge, Time now);
  Result<void> check_room(Time now);  // as add() would, before the costly work
  // Reasons "challenge-unknown", "challenge-in-progress" (its answer is being judged: again later), "challenge-used",
  // "challenge-expired"; the last two for as long again as a challenge lives.
  Result<Challenge> take(const std::string& id, Time now);
  void answered(const std::string& id);  // what was taken is judged

 private:
  struct Entry {
    Time expires;
    std::optional<Challenge> challenge;  // nothing: taken or expired
    enum class State { waiting, taken, used } state = State::waiting;
  };
  void forget(Time now);
  Result<void> room(Time now);

  const std::size_t most_;
  const std::chrono::seconds lifetime_;
  std::mutex mutex_;
  std::unordered_map<std::string, Entry> entries_;
  std::deque<std::pair<Time, std::string>> order_;  // by expiry
  std::size_t waiting_ = 0;
};

}  // namespace avseal::enrollment
