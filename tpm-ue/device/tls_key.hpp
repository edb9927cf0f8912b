#pragma once

#include <functional>
#include <span>

#include "tokens/certificate.hpp"
#include "tokens/digest.hpp"

struct ssl_ctx_st;

namespace avseal::device {

// Signs the SHA-256 digest of a TLS handshake; raw r || s.
using HandshakeSigner = std::function<Result<Bytes>(const tokens::Sha256& digest)>;

// Gives `context` the chain (leaf first, a P-256 key) and a private key whose signatures are made by `signer`. TLS 1.3
// with ecdsa_secp256r1_sha256 only. Reason "tls-key-unusable".
Result<void> use_tls_key(ssl_ctx_st& context, std::span<const tokens::Certificate> chain, HandshakeSigner signer);

}  // namespace avseal::device
