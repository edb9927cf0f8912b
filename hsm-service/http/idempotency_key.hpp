#pragma once

#include "http/message.hpp"

namespace avseal::http {

// The Idempotency-Key header (draft-ietf-httpapi-idempotency-key-header): a structured-field string (RFC 8941 section
// 3.3.3) of 1 to 64 printable characters without parameters; absent: nullopt. Error "idempotency-key-invalid"
// (bad_request).
Result<std::optional<std::string>> idempotency_key(const Request& request);

}  // namespace avseal::http
