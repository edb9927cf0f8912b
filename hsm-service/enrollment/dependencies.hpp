#pragma once

#include "enrollment/challenges.hpp"
#include "enrollment/crl_publisher.hpp"
#include "enrollment/rate_limiter.hpp"
#include "enrollment/rule_book.hpp"
#include "keyring/keyring.hpp"
#include "ledger/ledger.hpp"
#include "store/store.hpp"

namespace avseal::enrollment {

// What the io threads of a process share.
struct Shared {
  explicit Shared(const Config& config)
      : limiter(config), challenges(config.max_challenges, config.challenge_lifetime) {}
  static Result<std::unique_ptr<Shared>> create(const Config& config);

  RateLimiter limiter;
  Challenges challenges;
  CurrentCrl crl;
  std::shared_ptr<RuleBook> rules;  // null: only the simple form
};

struct Dependencies {
  keyring::Keyring& keyring;
  ledger::Ledger& ledger;
  store::EnrolmentCodes& codes;
  store::UeCertificates& ue_certificates;
  store::Devices& devices;
  store::Manifests& manifests;
  Shared& shared;
  Clock clock;
};

}  // namespace avseal::enrollment
