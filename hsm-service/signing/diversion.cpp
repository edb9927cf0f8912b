#include "signing/diversion.hpp"

#include <algorithm>

#include "signing/identity.hpp"

namespace avseal::signing {
namespace {

using Identities = std::vector<tokens::Identity>;

constexpr std::size_t max_diversions = 5;

bool contains(const Identities& identities, const tokens::Identity& identity) {
  return std::find(identities.begin(), identities.end(), identity) != identities.end();
}

Result<void> check_same_call(const tokens::Passport& original, const tokens::Passport& div) {
  if (div.orig != original.orig) {
    return verdict("div-orig-mismatch", "expected orig of the div PASSporT to be that of the original");
  }
  if (original.avatar && div.iat != original.iat) {
    return verdict("div-iat-mismatch", "expected iat of the div PASSporT to be that of the original");
  }
  return {};
}

// What may be a step of this call, and why the first other one may not.
struct Candidates {
  std::vector<Diversion> diversions;
  std::optional<Error> why;

  Candidates(const tokens::Passport& original, std::span<const std::string> headers) {
    for (std::size_t n = 0; n < headers.size(); ++n) {
      if (auto read = of_call(original, headers[n])) {
        diversions.push_back({n, std::move(*read)});
      } else if (!why) {
        why = read.error();
      }
    }
  }

  static Result<tokens::ParsedPassport> of_call(const tokens::Passport& original, const std::string& header) {
    AVSEAL_TRY(auto read, read_identity(header, {"div"}));
    AVSEAL_CHECK(check_same_call(original, read.passport));
    return read;
  }

  // The one whose div is among `at`, taken out.
  Result<Diversion> take_from(const Identities& at) {
    const auto leads_on = [&](const Diversion& one) { return contains(at, *one.parsed.passport.div); };
    const auto found = std::find_if(diversions.begin(), diversions.end(), leads_on);
    if (found == diversions.end()) return end_of_way();
    Diversion next = std::move(*found);
    diversions.erase(found);
    return next;
  }

  [[nodiscard]] Error end_of_way() const {
    if (why) return *why;
    if (!diversions.empty()) {
      return verdict("div-not-linked", "expected div to be in dest of the original or of another div PASSporT");
    }
    return verdict("div-dest-mismatch", "expected the callee of this call in dest of the last div PASSporT");
  }
};

// Each party diverts a call once, and never to one that diverted it before.
Result<void> check_no_loop(const Identities& parties, const Candidates& others, const tokens::Passport& next) {
  const bool twice = std::any_of(others.diversions.begin(), others.diversions.end(),
                                 [&](const auto& other) { return other.parsed.passport.div == next.div; });
  const bool back = std::any_of(next.dest.begin(), next.dest.end(),
                                [&](const auto& dest) { return dest == *next.div || contains(parties, dest); });
  if (!twice && !back) return {};
  return verdict("div-loop", "expected each party to divert the call once, and not back; found a loop");
}

}  // namespace

Result<std::vector<Diversion>> link_diversions(const tokens::Passport& original,
                                               std::span<const tokens::Identity> targets,
                                               std::span<const std::string> headers) {
  std::vector<Diversion> chain;
  Identities at = original.dest;
  Identities missing(targets.begin(), targets.end());
  const auto arrive = [&] { std::erase_if(missing, [&](const auto& target) { return contains(at, target); }); };
  arrive();
  if (missing.empty()) return chain;
  if (headers.empty()) return verdict("dest-mismatch", "expected the callee of this call in dest");
  if (headers.size() > max_diversions) {
    return verdict("div-chain-too-long", "expected at most " + std::to_string(max_diversions) +
                                             " div PASSporTs, found " + std::to_string(headers.size()));
  }
  Candidates candidates(original, headers);
  Identities parties;
  while (!missing.empty()) {
    AVSEAL_TRY(auto next, candidates.take_from(at));
    AVSEAL_CHECK(check_no_loop(parties, candidates, next.parsed.passport));
    parties.push_back(*next.parsed.passport.div);
    at = next.parsed.passport.dest;
    chain.push_back(std::move(next));
    arrive();
  }
  return chain;
}

}  // namespace avseal::signing
