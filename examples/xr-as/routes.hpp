#pragma once

#include "examples/xr-as/call.hpp"
#include "http/router.hpp"

namespace avseal::xr_as {

struct SessionsConfig {
  CallConfig call;
  bool certificate_required = true;  // the UE certificate, as TLS client certificate of POST /sessions
  StepSink sink;
};

// POST /sessions: a call request of a UE. 200 with the verdict if every step passed, else the refusal's status with the
// verdict so far: {"session":"..","verdict":"refused","reason":"..","steps":[{"step","passed","detail"},..]}.
void add_routes(http::Router& router, std::shared_ptr<const SessionsConfig> config);

}  // namespace avseal::xr_as
