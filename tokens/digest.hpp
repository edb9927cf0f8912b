#pragma once

#include <array>
#include <memory>
#include <string>

#include "tokens/bytes.hpp"

struct evp_md_ctx_st;

namespace avseal::tokens {

using Sha256 = std::array<std::uint8_t, 32>;

Sha256 sha256(ByteView bytes);
Bytes sha384(ByteView bytes);
Sha256 hmac_sha256(ByteView key, ByteView bytes);
bool equal_constant_time(ByteView a, ByteView b);
Bytes random_bytes(std::size_t size);
std::string random_uuid();            // RFC 4122 version 4, lower case
bool is_uuid(std::string_view text);  // 8-4-4-4-12 hex digits

// Incremental SHA-256, for content that is not held in memory.
class Sha256Stream {
 public:
  Sha256Stream();
  void update(ByteView bytes);
  Sha256 finish();  // then starts anew

 private:
  struct Free {
    void operator()(evp_md_ctx_st* context) const noexcept;
  };
  std::unique_ptr<evp_md_ctx_st, Free> context_;
};

}  // namespace avseal::tokens
