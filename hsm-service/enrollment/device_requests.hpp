// What operators send about devices: strict parsers without I/O.
#pragma once

#include <map>

#include "store/records.hpp"
#include "tokens/bytes.hpp"
#include "tokens/result.hpp"

namespace avseal::enrollment {

// state, batch, model, after, limit (1 to 500). Reason "query-invalid".
Result<store::DeviceQuery> parse_device_query(const std::map<std::string, std::string>& query);

// {"reason": ".."}, of 1 to 200 bytes that name no identity; empty if it is left out and may be. Reason
// "reason-invalid".
Result<std::string> parse_reason(std::string_view body, bool required);

// {"batch" | "model" | "firmware": "..", "scope": ".."?, "reason": ".."}. Reason "revocation-invalid".
Result<store::DeviceRevocation> parse_revocation(std::string_view body);

struct SignedManifest {
  std::string document;
  Bytes signature;
};
inline constexpr std::size_t max_manifest_body = 8 * 1024 * 1024;
// {"document": "text of the manifest", "signature": "base64url"}.
Result<SignedManifest> parse_manifest_request(std::string_view body);

}  // namespace avseal::enrollment
