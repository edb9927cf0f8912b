// What a key of each kind signs. The worker asks before anything reaches the HSM: whoever takes over a client gets
// nothing of another kind signed.
#pragma once

#include <optional>
#include <string>

#include "pkcs11/key_kind.hpp"
#include "tokens/crl.hpp"

namespace avseal::tokend {

struct KeyRule {
  pkcs11::KeyKind kind = pkcs11::KeyKind::avatar_id;
  tokens::Algorithm algorithm = tokens::Algorithm::es256;
  std::string origin;                         // ledger
  std::optional<tokens::Certificate> issuer;  // ue-ca
  std::int64_t max_validity_seconds = 0;      // ue-ca
};

// The number of a CRL, which has to be claimed before the signature is made; nothing for all other input.
using NumberToClaim = std::optional<tokens::CrlNumber>;

// Reason "not-of-key-kind", unless `input` is
//
//   avatar-id        a JWS signing input with a PASSporT header {alg, ppt, typ, x5u} of ppt avatar, shaken or div
//   avatar-metadata  a JWS signing input with header members alg, kid, typ, x5c and exactly its typ
//   access-token     a JWS signing input with header members alg, kid, typ and exactly its typ
//   ledger           a checkpoint note of `origin` in a year: "<origin>/<year>", tree size, root hash, nothing else; or
//                    the manifest of an export of such a log (tlog/export_manifest.hpp)
//   ue-ca            a TBSCertificate that tokens::check_ue_tbs accepts, or a TBSCertList that check_crl_tbs accepts
//
// dac-kek signs nothing.
Result<NumberToClaim> check_input(const KeyRule& rule, ByteView input);

}  // namespace avseal::tokend
