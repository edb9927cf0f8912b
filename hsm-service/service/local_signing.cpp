#include "service/local_signing.hpp"

namespace avseal::service {

boost::asio::awaitable<Result<authorization::VerifiedAvatarId>> LocalSigning::verify(std::string identity_header,
                                                                                     UnixSeconds now,
                                                                                     std::int64_t max_age) {
  auto verified = co_await verifier_.verify_for_authorization(std::move(identity_header), now, max_age);
  if (!verified) co_return verified.error();
  authorization::VerifiedAvatarId out{std::move(verified->passport), std::move(verified->signer)};
  co_return out;
}

boost::asio::awaitable<Result<bool>> LocalSigning::subscription_allows(tokens::Impu impu, std::string avatar_id,
                                                                       std::string application) {
  auto subscription = co_await subscriptions_.find(std::move(impu));
  if (!subscription) co_return subscription.error();
  co_return signing::allows(*subscription, avatar_id, application);
}

}  // namespace avseal::service
