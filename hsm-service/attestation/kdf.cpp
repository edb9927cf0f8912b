#include "attestation/kdf.hpp"

#include <cstdlib>

#include <openssl/evp.h>

namespace avseal::attestation {

namespace {

// Hashing fails only in a broken installation.
void require(bool done) {
  if (!done) std::abort();
}

void append_number(Bytes& out, std::uint32_t number) {
  for (const unsigned shift : {24U, 16U, 8U, 0U}) out.push_back(static_cast<std::uint8_t>((number >> shift) & 0xFFU));
}

void append(Bytes& out, ByteView bytes) {
  out.insert(out.end(), bytes.begin(), bytes.end());
}

// label || 00 || U || V
Bytes context_of(std::string_view label, ByteView u, ByteView v) {
  Bytes out(label.begin(), label.end());
  out.push_back(0);
  append(out, u);
  append(out, v);
  return out;
}

}  // namespace

std::size_t size_of(Hash hash) {
  return hash == Hash::sha256 ? 32 : 48;
}

const char* openssl_name(Hash hash) {
  return hash == Hash::sha256 ? "SHA256" : "SHA384";
}

Bytes hmac(Hash hash, ByteView key, ByteView bytes) {
  Bytes mac(size_of(hash));
  std::size_t size = 0;
  require(EVP_Q_mac(nullptr, "HMAC", nullptr, openssl_name(hash), nullptr, key.data(), key.size(), bytes.data(),
                    bytes.size(), mac.data(), mac.size(), &size) != nullptr &&
          size == mac.size());
  return mac;
}

Bytes kdfa(Hash hash, ByteView key, std::string_view label, ByteView u, ByteView v, std::uint32_t bits) {
  const Bytes context = context_of(label, u, v);
  Bytes out;
  for (std::uint32_t counter = 1; out.size() < bits / 8; ++counter) {
    Bytes block;
    append_number(block, counter);
    append(block, context);
    append_number(block, bits);
    append(out, hmac(hash, key, block));
  }
  out.resize(bits / 8);
  return out;
}

Bytes kdfe(Hash hash, ByteView z, std::string_view label, ByteView u, ByteView v) {
  Bytes block;
  append_number(block, 1);
  append(block, z);
  append(block, context_of(label, u, v));
  Bytes seed(size_of(hash));
  require(EVP_Q_digest(nullptr, openssl_name(hash), nullptr, block.data(), block.size(), seed.data(), nullptr) == 1);
  return seed;
}

}  // namespace avseal::attestation
