#pragma once

#include "keyring/keyring.hpp"
#include "signing/certificate_fetcher.hpp"
#include "signing/replay.hpp"
#include "signing/trust.hpp"
#include "tokens/identity_header.hpp"
#include "tokens/passport.hpp"

namespace avseal::signing {

// Who diverted a call, and which of the call's diversions says so.
struct DivertedBy {
  std::size_t header = 0;
  tokens::Identity party;
};

// What a verified Identity header says, and whose certificate signed it.
struct VerifiedPassport {
  tokens::Passport passport;
  tokens::Certificate signer;
  std::vector<DivertedBy> diverted = {};  // by whom the call came from dest to where it is, in this order
};

// The call that a PASSporT came with, as the terminating IMS saw it.
struct CallFacts {
  tokens::Identity from;
  std::vector<tokens::Identity> to;       // at least one; each must be in dest, or in that of a diversion of this call
  std::vector<std::string> fingerprints;  // of the SDP, "SHA-256 AA:BB:.."
  std::optional<std::string> call_id;
  UnixSeconds time = 0;                      // when the request arrived there, or its Date
  std::vector<std::string> diversions = {};  // Identity header values of div PASSporTs, in any order
};

// The eight steps of verification, in their order: nothing is fetched for a PASSporT that is stale or of another call,
// nothing signed is believed before its signer is trusted. An Error of category `invalid` is the verdict on the
// PASSporT (see sip_status()); any other category means that there is no verdict.
class Verifier {
 public:
  // What all io threads share.
  struct Shared {
    std::shared_ptr<Trust> trust;
    std::shared_ptr<CertificateFetcher> fetcher;
    std::shared_ptr<PassportReplay> replay;
    static Result<Shared> create(const Config& config, Clock clock);
  };

  // Certificates of the keyring's keys under public_url are known without a fetch. The keyring outlives it.
  Verifier(const Config& config, Shared shared, const keyring::Keyring& keyring);

  // All eight steps, of the PASSporT and of the diversions that it needs.
  boost::asio::awaitable<Result<VerifiedPassport>> verify_call(std::string identity_header, CallFacts call,
                                                               UnixSeconds now);

  // Steps 1, 2 with `iat` up to max_age seconds old, and 4 to 7; ppt must be avatar.
  boost::asio::awaitable<Result<VerifiedPassport>> verify_for_authorization(std::string identity_header,
                                                                            UnixSeconds now, std::int64_t max_age);

 private:
  boost::asio::awaitable<Result<VerifiedPassport>> verify_signer(tokens::ParsedPassport parsed, UnixSeconds now);
  boost::asio::awaitable<Result<Chain>> chain_of(std::string x5u);

  // Step 2.
  [[nodiscard]] Result<void> check_time(const tokens::Passport& passport, const CallFacts& call, UnixSeconds now) const;
  [[nodiscard]] Chain own_chain(std::string_view x5u) const;  // nullptr: none of ours

  const Config config_;
  const std::int64_t freshness_;  // seconds
  const Shared shared_;
  const keyring::Keyring& keyring_;
};

// Where the world finds a certificate of ours: `x5u` of what it signed.
std::string certificate_url(const Config& config, const tokens::Certificate& certificate);

// The response code of RFC 8224 section 6.2.2 for a verdict, from its reason.
struct SipStatus {
  unsigned code;
  std::string_view text;
};
SipStatus sip_status(const Error& verdict);

}  // namespace avseal::signing
