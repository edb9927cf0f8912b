#pragma once

#include <nghttp2/nghttp2.h>

namespace avseal::http {

class H2Session;

// A server session whose callbacks call `owner`, with its limits set; nullptr if memory is short.
nghttp2_session* new_h2_session(H2Session& owner);

}  // namespace avseal::http
