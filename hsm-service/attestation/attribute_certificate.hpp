#pragma once

#include "attestation/directory_name.hpp"
#include "tokens/bytes.hpp"
#include "tokens/clock.hpp"

struct x509_st;

namespace avseal::attestation {

inline constexpr std::size_t attribute_certificate_max_size = 16 * 1024;

// An X.509 attribute certificate (RFC 5755) as the TCG uses it for platforms: about the holder of a public-key
// certificate, named by its issuer and serial. OpenSSL 3.0 does not know these.
class AttributeCertificate {
 public:
  // Is this one, rather than a public-key certificate? A look at the first elements only.
  static bool looks_like_one(ByteView der);

  // Exactly one, version 2, in DER, with a holder of that form and no other, and no critical extension but the subject
  // alternative name. Reasons "platform-certificate-malformed", "-critical-extension", "-san".
  static Result<AttributeCertificate> read(ByteView der);

  // Issuer and serial of the holder's certificate.
  [[nodiscard]] bool is_about(const x509_st* certificate) const;
  [[nodiscard]] bool was_issued_by_subject_of(const x509_st* certificate) const;
  [[nodiscard]] bool verifies_with(
      const x509_st* issuer) const;  // the signature; the issuer must sign, by its key usage
  [[nodiscard]] bool valid_at(UnixSeconds time) const { return not_before_ <= time && time <= not_after_; }
  [[nodiscard]] bool ended_before(UnixSeconds time) const { return not_after_ < time; }
  [[nodiscard]] const DirectoryName& alternative_name() const { return alternative_name_; }

 private:
  AttributeCertificate() = default;
  Result<void> read_info(ByteView info);
  Result<void> read_extensions(ByteView extensions);

  Bytes signed_;     // AttributeCertificateInfo
  Bytes algorithm_;  // AlgorithmIdentifier
  Bytes signature_;
  Bytes holder_issuer_;  // Name
  Bytes holder_serial_;  // INTEGER
  Bytes issuer_;         // Name
  UnixSeconds not_before_ = 0;
  UnixSeconds not_after_ = 0;
  DirectoryName alternative_name_;
};

}  // namespace avseal::attestation
