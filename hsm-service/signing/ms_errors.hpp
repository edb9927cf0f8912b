#pragma once

#include "http/message.hpp"

namespace avseal::signing {

// The one place where an Error becomes an Ms answer: requestError with a serviceException (the request cannot be
// processed) or a policyException (it could, but may not), ATIS-1000082 clause 6 and TS 24.229 clause V.2.4.3. Ids
// that neither document has are the project's own: POL4010, POL4030, POL4290, SVC4090, SVC4220 and SVC5030; so is the
// member `reason`.
http::Response ms_error(const http::Request& request, const Error& error);

// X-RequestID: the caller's if printable and at most 128 characters, else the request's id.
void echo_request_id(const http::Request& request, http::Response& response);

// 406 "not-acceptable" if an Accept header excludes application/json.
Result<void> check_accept(const http::Request& request);

}  // namespace avseal::signing
