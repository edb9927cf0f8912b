// Certificate revocation lists: what enrollment builds, what the HSM worker agrees to sign.
#pragma once

#include <array>
#include <vector>

#include "tokens/certificate.hpp"
#include "tokens/clock.hpp"

namespace avseal::tokens {

// Big-endian, so that arrays compare as their numbers do. 0 is no CRL's number.
using CrlNumber = std::array<std::uint8_t, 20>;

// The HSM worker's own check of design section 2: is `tbs` a complete TBSCertList of `issuer` and nothing else? Version
// 2 and DER; the issuer's subject byte for byte and its algorithm; thisUpdate within an hour of `now`, nextUpdate at
// most 31 days later, both within the issuer's validity; entries with positive serials of at most 20 octets, each once,
// revoked no later than thisUpdate, with no extension but a reason; exactly the extensions authorityKeyIdentifier
// (keyIdentifier of the issuer) and cRLNumber (positive, at most 20 octets), so no delta and no indirect CRL. Gives the
// CRL number. Reason "tbs-refused".
Result<CrlNumber> check_crl_tbs(ByteView tbs, const Certificate& issuer, UnixSeconds now);

// CRLReason of RFC 5280 section 5.3.1 that entries of ours have.
enum class CrlReason : std::uint8_t { unspecified = 0, key_compromise = 1, cessation_of_operation = 5 };

struct CrlEntry {
  Bytes serial;  // positive, at most 20 bytes
  UnixSeconds revoked_at = 0;
  CrlReason reason = CrlReason::unspecified;  // left out then, as RFC 5280 wants it
};

struct CrlFields {
  std::uint64_t number = 0;
  UnixSeconds this_update = 0;
  UnixSeconds next_update = 0;
  std::vector<CrlEntry> entries;
};

// The TBSCertList DER of a complete CRL of `issuer`, as check_crl_tbs() wants it, and the CRL's DER once its issuer has
// signed it. Reasons "crl-invalid"; "crl-too-large" beyond what the HSM worker signs.
Result<Bytes> build_crl_tbs(const CrlFields& fields, const Certificate& issuer);
Result<Bytes> assemble_crl(ByteView tbs, const Certificate& issuer, ByteView raw_signature);

// Of a TBSCertList that check_crl_tbs() may take.
inline constexpr std::size_t max_crl_tbs_size = 120 * 1024;

}  // namespace avseal::tokens
