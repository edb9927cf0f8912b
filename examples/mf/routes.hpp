#pragma once

#include "examples/mf/receiver.hpp"
#include "http/router.hpp"

namespace avseal::mf {

using Report = std::function<void(std::string_view line)>;

// PUT /media/{session}/metadata   application/jose: the signed avatar metadata as the XR AS got it
// PUT /media/{session}/content    any media type, streamed
// Both for clients of role xr-as; both answer 204, or a problem with the reason of the refusal.
void add_routes(http::Router& router, std::shared_ptr<Receiver> receiver, Report report);

}  // namespace avseal::mf
