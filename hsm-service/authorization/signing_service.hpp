#pragma once

#include <boost/asio/awaitable.hpp>

#include "tokens/certificate.hpp"
#include "tokens/passport.hpp"

namespace avseal::authorization {

struct VerifiedAvatarId {
  tokens::Passport passport;
  tokens::Certificate signer;
};

// What authorization asks of a signing role: the local one, or one behind a URL.
class SigningService {
 public:
  virtual ~SigningService() = default;
  // Steps 1, 2 (with max_age for `iat`) and 4 to 7 of design section 6; ppt must be avatar.
  virtual boost::asio::awaitable<Result<VerifiedAvatarId>> verify(std::string identity_header, UnixSeconds now,
                                                                  std::int64_t max_age) = 0;
  // Does the subscription still allow this avatar in this application?
  virtual boost::asio::awaitable<Result<bool>> subscription_allows(tokens::Impu impu, std::string avatar_id,
                                                                   std::string application) = 0;
};

}  // namespace avseal::authorization
