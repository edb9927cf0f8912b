#pragma once

#include "authorization/signing_service.hpp"
#include "signing/subscription_source.hpp"
#include "signing/verifier.hpp"

namespace avseal::service {

// Wires the authorization role to the signing role of the same io thread.
class LocalSigning : public authorization::SigningService {
 public:
  LocalSigning(signing::Verifier& verifier, signing::SubscriptionSource& subscriptions)
      : verifier_(verifier), subscriptions_(subscriptions) {}
  boost::asio::awaitable<Result<authorization::VerifiedAvatarId>> verify(std::string identity_header, UnixSeconds now,
                                                                         std::int64_t max_age) override;
  boost::asio::awaitable<Result<bool>> subscription_allows(tokens::Impu impu, std::string avatar_id,
                                                           std::string application) override;

 private:
  signing::Verifier& verifier_;
  signing::SubscriptionSource& subscriptions_;
};

}  // namespace avseal::service
