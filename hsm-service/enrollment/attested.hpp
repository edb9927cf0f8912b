#pragma once

#include <prometheus/counter.h>
#include <prometheus/registry.h>

#include "enrollment/archive.hpp"
#include "enrollment/challenges.hpp"
#include "enrollment/dependencies.hpp"
#include "enrollment/issuer.hpp"
#include "http/router.hpp"

namespace avseal::enrollment {

// Attested enrolment: a UE certificate only for a key that provably lives in the TPM of a device that its maker made,
// for an identity that the operator gave it. Two legs; docs/devices.md has the wire form. One instance per io thread.
class Attested {
 public:
  Attested(const Config& config, Dependencies& dependencies, prometheus::Registry& metrics);
  void add_routes(http::Router& router);

 private:
  using Answer = boost::asio::awaitable<Result<http::Response>>;
  template <class T>
  using Async = boost::asio::awaitable<Result<T>>;
  using RulesPtr = std::shared_ptr<const Rules>;

  Answer post_challenge(http::Request& request);
  Answer post_certificate(http::Request& request);

  Result<void> admit_address(const http::Request& request);

  // The first leg. Whatever needs no public-key operation comes before what does.
  Async<Challenge> begin(const ChallengeRequest& wanted, RulesPtr rules);
  Async<Challenge> begin_enrolment(const ChallengeRequest& wanted, RulesPtr rules);
  Async<Challenge> begin_renewal(const ChallengeRequest& wanted, RulesPtr rules);
  // The digest of the code that the second leg must spend; none for a device that has this identity already.
  Async<std::optional<std::string>> check_identity(const ChallengeRequest& wanted, const std::string& device);

  // The second leg.
  Async<tokens::Certificate> finish(Challenge challenge, CertificateAnswer answer, const http::Request& request);
  Async<void> follow_life(Challenge& challenge, const attestation::Verdict& verdict, const http::Request& request,
                          const Rules& rules);
  Async<void> check_approval(Challenge& challenge, const http::Request& request);
  Async<tokens::Certificate> issue(Challenge challenge, const CertificateAnswer& answer, attestation::Verdict verdict,
                                   const http::Request& request, RulesPtr rules);
  void count(const std::vector<Error>& findings, const std::string& device);
  boost::asio::awaitable<void> alarm(std::string_view kind, const Challenge& challenge, const http::Request& request);

  const Config& config_;
  Dependencies& with_;
  Issuer issuer_;
  Archive archive_;
  prometheus::Counter& rate_limited_;
  prometheus::Family<prometheus::Counter>& enrolments_;
  prometheus::Family<prometheus::Counter>& findings_;
  prometheus::Family<prometheus::Counter>& alarms_;
};

}  // namespace avseal::enrollment
