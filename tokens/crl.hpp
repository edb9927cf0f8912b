// Certificate revocation lists: what the HSM worker agrees to sign.
#pragma once

#include <array>

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

}  // namespace avseal::tokens
