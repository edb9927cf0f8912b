// Bodies of the enrollment routes: strict parsers without I/O.
#pragma once

#include "enrollment/config.hpp"
#include "tokens/certificate_request.hpp"

namespace avseal::enrollment {

// An enrolment code: 128 random bits in lower-case hex, so that it can be read out and typed.
std::string new_code();
std::string code_digest(std::string_view code);  // base64url SHA-256, what the store and the ledger know of it

struct CodeRequest {
  tokens::Impu impu;
  std::int64_t lifetime = 0;  // seconds
  bool simple = false;        // for the simple form
  std::string reason = {};    // why that is needed
};
// {"impu": "..", "lifetime": seconds?, "simple": bool?, "reason": ".."?}. Reasons "code-lifetime" beyond the configured
// limit, "code-reason" for a simple one without a reason, a reason without a simple one, or one that names an identity.
Result<CodeRequest> parse_code_request(std::string_view body, const Config& config);

struct SimpleRequest {
  std::string code;
  Bytes csr;  // DER
};
// {"code": "..", "csr": "<PEM or base64 DER>"}; no asymmetric work. Reasons "enrolment-code-invalid", "csr-malformed".
Result<SimpleRequest> parse_simple_request(std::string_view body);

// The self-signed request of one P-256 key. Reasons of tokens/certificate_request.hpp, and "csr-key-type".
Result<tokens::CertificateRequest> check_csr(ByteView der);

// A CSR may repeat the IMPU of the code, and nothing else. Reason "csr-identity".
Result<void> check_csr_identity(const tokens::CertificateRequest& csr, const tokens::Impu& impu);

// RFC 7030 section 4.1.3: base64 of a certs-only PKCS#7.
Result<std::string> certs_only_pkcs7(std::span<const tokens::Certificate> certificates);

}  // namespace avseal::enrollment
