#pragma once

#include <string>
#include <vector>

#include "tokens/public_key.hpp"

namespace avseal::cli {

struct RequestFields {
  std::string common_name;  // 1 to 64 bytes
  std::vector<std::string> san_uris;
  std::vector<std::string> san_dns;
};

// CertificationRequestInfo (RFC 2986) for the key, to be signed by it. Reason "request-invalid".
Result<Bytes> build_request_info(const tokens::PublicKey& key, const RequestFields& fields);

}  // namespace avseal::cli
