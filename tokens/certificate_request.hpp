// UE certificates and certificate requests: what enrollment builds, what the HSM worker agrees to sign.
#pragma once

#include "tokens/certificate.hpp"
#include "tokens/impu.hpp"

namespace avseal::tokens {

// A PKCS#10 request whose self-signature verified.
struct CertificateRequest {
  Bytes der;
  PublicKey key;
  std::vector<std::string> san_uris;
  static Result<CertificateRequest> from_der(ByteView der);
  static Result<CertificateRequest> from_pem(std::string_view pem);
};

// CertificationRequestInfo DER for `subject_cn`, to be signed by the key's holder; then the whole request.
Result<Bytes> build_request_info(const PublicKey& key, std::string_view subject_cn,
                                 const std::vector<std::string>& san_uris);
Result<Bytes> assemble_request(ByteView request_info, const PublicKey& key, ByteView raw_signature);
std::string request_pem(ByteView der);

struct UeCertificateFields {
  PublicKey key;  // P-256
  Impu impu;      // the one SAN URI
  Bytes serial;   // 16 random bytes, most significant bit clear
  UnixSeconds not_before = 0;
  UnixSeconds not_after = 0;
};

// The TBSCertificate DER of a UE certificate issued by `issuer` (CA:FALSE critical, keyUsage digitalSignature critical,
// EKU ue_eku_oid, SAN URI, AKI, SKI), and the certificate once its issuer has signed it.
Result<Bytes> build_ue_tbs(const UeCertificateFields& fields, const Certificate& issuer);
Result<Certificate> assemble_certificate(ByteView tbs, const Certificate& issuer, ByteView raw_signature);

// The HSM worker's own check of design section 2: is `tbs` a UE certificate of `issuer` and nothing else? CA:FALSE, the
// UE EKU, exactly one URI SAN, a P-256 key, validity within max_validity_seconds and the issuer's, serial of >= 64
// random-looking bits. Reason "tbs-refused".
Result<void> check_ue_tbs(ByteView tbs, const Certificate& issuer, std::int64_t max_validity_seconds);

}  // namespace avseal::tokens
