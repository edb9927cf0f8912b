// The requests that an XR AS makes.
#pragma once

#include "examples/xr-as/call.hpp"

namespace avseal::xr_as {

boost::asio::awaitable<Result<Grant>> ask_for_access(const CallConfig& config, const CallRequest& request);

boost::asio::awaitable<Result<std::string>> fetch_metadata(const CallConfig& config, const CallRequest& request,
                                                           const Grant& grant);

// Hashed as it comes in; "content-mismatch" unless it is what the metadata promises.
boost::asio::awaitable<Result<std::string>> fetch_content(const CallConfig& config, const CallRequest& request,
                                                          const Grant& grant, const tokens::AvatarMetadata& metadata);

boost::asio::awaitable<Result<void>> hand_to_mf(const CallConfig& config, const CallRequest& request,
                                                std::string metadata, std::string content);

}  // namespace avseal::xr_as
