// The key derivations of TPM 2.0 part 1, 11.4.10, of this directory.
#pragma once

#include <string_view>

#include "tokens/bytes.hpp"

namespace avseal::attestation {

enum class Hash { sha256, sha384 };
std::size_t size_of(Hash hash);  // 32, 48
const char* openssl_name(Hash hash);

Bytes hmac(Hash hash, ByteView key, ByteView bytes);
// Counter mode with HMAC. `bits` is a multiple of 8.
Bytes kdfa(Hash hash, ByteView key, std::string_view label, ByteView u, ByteView v, std::uint32_t bits);
// A seed of the hash's size from a shared secret `z`, and the x coordinates of both sides.
Bytes kdfe(Hash hash, ByteView z, std::string_view label, ByteView u, ByteView v);

}  // namespace avseal::attestation
