#pragma once

#include <span>

#include "tokens/passport.hpp"

namespace avseal::signing {

// One step of a diverted call: a div PASSporT (RFC 8946) that sends it on.
struct Diversion {
  std::size_t header = 0;  // which of the given headers it came in
  tokens::ParsedPassport parsed;
};

// The div PASSporTs among `headers` (Identity header values in any order, at most 5) by which the call came from the
// original's dest to each of `targets`, in the order of the call; none if all targets are in dest. Each one's `div` is
// in the dest before it, its orig is the original's, and so is its iat if the original has an avatar: no div of another
// call counts. Nothing is believed yet: signers and freshness are still to be checked.
// Verdicts: "dest-mismatch" (no div came); "div-chain-too-long"; "div-loop" (a party diverts twice, or a call comes
// back); and why the way ends: those of read_identity(), "div-orig-mismatch", "div-iat-mismatch", "div-not-linked",
// "div-dest-mismatch".
Result<std::vector<Diversion>> link_diversions(const tokens::Passport& original,
                                               std::span<const tokens::Identity> targets,
                                               std::span<const std::string> headers);

}  // namespace avseal::signing
