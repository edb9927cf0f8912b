// The one policy code behind both token forms.
#pragma once

#include "authorization/config.hpp"
#include "authorization/signing_service.hpp"
#include "authorization/token_request.hpp"
#include "keyring/keyring.hpp"
#include "ledger/ledger.hpp"
#include "store/interfaces.hpp"
#include "tokens/access_token.hpp"
#include "tokens/ue_token.hpp"

namespace avseal::authorization {

struct Granted {
  std::string access_token;
  std::int64_t expires_in = 0;  // seconds
  std::string scope;
};

struct Dependencies {
  SigningService& signing;
  keyring::Keyring& keyring;
  ledger::Ledger& ledger;
  store::Avatars& avatars;
  store::CallStates& calls;
  store::UeCertificates& ue_certificates;
  store::ReplayCache& replay_cache;
  Clock clock;
};

// Checks a token request in the order of design section 6 ("UE token") and grants it. One instance per io thread.
class Granter {
 public:
  Granter(const Config& config, Dependencies dependencies) : config_(config), with_(std::move(dependencies)) {}

  // Category of errors: invalid (what was presented does not hold), forbidden (the client or the policy), unavailable.
  // Reasons are those of tokens/ and signing, and "signer-not-accepted", "application-mismatch", "call-rejected",
  // "call-ended", "call-not-accepted", "ue-certificate-mismatch", "ue-certificate-unknown", "ue-certificate-revoked",
  // "ue-certificate-superseded", "device-revoked", "device-batch-revoked", "device-model-refused",
  // "device-firmware-refused", "device-approval-pending", "ue-certificate-identity", "ue-token-subject",
  // "ue-token-avatar", "ue-token-audience", "application-not-of-client", "avatar-not-subscribed", "avatar-unknown",
  // "policy-denied", "policy-no-rule", "ue-token-replayed".
  boost::asio::awaitable<Result<Granted>> grant(TokenRequest request, const http::Request& http);

 private:
  boost::asio::awaitable<Result<void>> check_call(std::string origid);
  boost::asio::awaitable<Result<void>> check_device(const tokens::UeToken& token, UnixSeconds now);
  boost::asio::awaitable<Result<std::int64_t>> check_avatar(tokens::Passport passport, const http::Client& client,
                                                            UnixSeconds now);
  boost::asio::awaitable<Result<std::string>> sign(tokens::AccessTokenClaims claims, const tokens::Passport& passport,
                                                   const http::Request& http, std::string replay_key);

  const Config& config_;
  Dependencies with_;
};

}  // namespace avseal::authorization
