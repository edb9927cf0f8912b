// A Granter on a test::Node: a signing role that says what a test tells it, a real store and ledger, UE tokens signed
// by software keys. An Attempt is a good token request; a test spoils one thing of it, or several.
#pragma once

#include "../dac/support.hpp"
#include "authorization/grant.hpp"

namespace avseal::test {

inline constexpr const char* xr_as_nf = "33333333-3333-4333-8333-333333333333";
inline constexpr const char* dac_instance = "11111111-1111-4111-8111-111111111111";
inline constexpr const char* alice = "sip:alice@a.example";
inline constexpr const char* mallory = "sip:mallory@a.example";

class ScriptedSigning final : public authorization::SigningService {
 public:
  boost::asio::awaitable<Result<authorization::VerifiedAvatarId>> verify(std::string identity_header, UnixSeconds now,
                                                                         std::int64_t max_age) override;
  boost::asio::awaitable<Result<bool>> subscription_allows(tokens::Impu impu, std::string avatar_id,
                                                           std::string application) override;

  std::optional<Error> failure;               // of verify()
  std::optional<Error> subscription_failure;  // of subscription_allows()
  std::optional<tokens::Passport> passport;
  std::optional<tokens::Certificate> signer;
  bool allowed = true;
  std::int64_t asked_max_age = 0;
  std::string asked_header;
};

struct Attempt {
  std::string application_id = "xr-meeting";
  std::string avatar = "urn:uuid:avatar-";  // made unique
  std::string origid;                       // a new one each time, as is jti
  std::string jti;
  std::string signer_dns = "a.example";
  std::string orig = alice;
  std::optional<Error> verdict;  // of the signing role
  std::optional<store::CallState> call;

  std::string typ = "avatar-ue+jwt";
  bool own_digest = true;      // x5t#S256 is that of x5c
  bool bound = true;           // avatar.ue names the UE certificate
  bool own_signature = true;   // by the key of the UE certificate
  bool known_ca = true;        // the UE certificate's issuer is an anchor
  bool ue_certificate = true;  // it has the UE EKU
  UnixSeconds not_after = start_time + 86'400;
  std::string certified = alice;                  // SAN of the UE certificate
  std::optional<std::string> registered = alice;  // IMPU of the device's row
  store::RevocationCause revoked = store::RevocationCause::none;
  std::optional<store::DeviceState> device;  // of the UE certificate's device, if it has one

  std::string sub = alice;
  std::string aud = "xr-as.a.example";
  std::string token_app = "xr-meeting";
  std::string token_avatar;  // empty: the same
  UnixSeconds iat = start_time;
  UnixSeconds exp = start_time + 100;
  bool spent = false;  // another request used the UE token before

  std::vector<std::string> served = {"xr-meeting"};  // applications of the XR AS
  bool subscribed = true;
  bool published = true;
  bool withdrawn = false;
  std::string policy = "[[rule]]\nname = \"all\"\neffect = \"allow\"\n";
  bool require_accept = false;
};

class GrantSite {
 public:
  GrantSite();

  // Sets everything up as the attempt says and gives the request; `grant` then asks.
  authorization::TokenRequest prepare(Attempt attempt);
  Result<authorization::Granted> grant(const authorization::TokenRequest& request);
  Result<authorization::Granted> attempt(const Attempt& attempt) { return grant(prepare(attempt)); }
  std::string reason(const Attempt& attempt);  // "granted" or why not
  void restart_store();

  // Two of the same request at the same time, on one io context.
  std::pair<Result<authorization::Granted>, Result<authorization::Granted>> grant_twice(
      const authorization::TokenRequest& request);

  Authority operator_ca{"operator"};
  Authority stir_ca{"stir"};
  Authority tls{"tls"};
  Authority ue_ca{"ue-ca"};
  Authority other_ca{"other-ue-ca"};
  Key access_key = make_key();
  tokens::Certificate access_certificate = operator_ca.leaf("access-token", access_key, "DNS:a.example");
  tokens::Certificate xr_as = tls.leaf("xr-as", make_key(), std::string("URI:urn:uuid:") + xr_as_nf);
  Node node;
  ScriptedSigning signing;
  authorization::Config config;
  http::Client client;

 private:
  authorization::Granter granter();
  http::Request http_request();
  tokens::Certificate issue_ue(const Attempt& attempt, const Key& key) const;
  std::string ue_token(const Attempt& attempt, const tokens::Certificate& leaf, const Key& key) const;
  void put_device(const Attempt& attempt, const tokens::Certificate& leaf);
  void put_avatar(const Attempt& attempt);
  template <class T>
  T wait(boost::asio::awaitable<Result<T>> task) {
    return run(node.context, std::move(task)).value();
  }
  void wait(boost::asio::awaitable<Result<void>> task) { run(node.context, std::move(task)).value(); }

  unsigned count_ = 0;
};

}  // namespace avseal::test
