#pragma once

#include <deque>
#include <map>
#include <mutex>

#include "tokens/clock.hpp"
#include "tokens/digest.hpp"
#include "tokens/result.hpp"

namespace avseal::signing {

// PASSporTs that were seen, each with the one Call-ID it belongs to. Shared by the io threads; forgets an entry once
// the freshness window refuses its PASSporT anyway.
class PassportReplay {
 public:
  PassportReplay(std::size_t max_entries, std::chrono::seconds freshness)
      : max_entries_(max_entries), lifetime_(2 * freshness.count() + 1) {}

  // signing_input, not the whole JWS: an ECDSA signature can be altered by anybody and still verify. Reasons
  // "passport-replayed" (invalid); "replay-cache-full" (unavailable): nothing that is fresh is ever dropped.
  Result<void> check(std::string_view signing_input, std::string_view call_id, UnixSeconds now);

  [[nodiscard]] std::size_t size() const;

 private:
  struct Expiry {
    UnixSeconds at;
    tokens::Sha256 passport;
  };
  const std::size_t max_entries_;
  const std::int64_t lifetime_;  // seconds; `iat` may lie one window in the future, and is fresh for one more
  mutable std::mutex mutex_;
  std::map<tokens::Sha256, tokens::Sha256> calls_;  // digest of PASSporT -> digest of Call-ID
  std::deque<Expiry> expiries_;                     // in order of arrival
};

}  // namespace avseal::signing
