// Signed avatar metadata by a DAC in memory.
#pragma once

#include <string>

#include "tests/unit/mf/software_pki.hpp"
#include "tokens/avatar_metadata.hpp"
#include "tokens/base64.hpp"

namespace avseal::test {

struct MetadataMaker {
  SoftwareCa ca{"metadata CA"};
  SoftwareKey key;
  tokens::Certificate certificate = ca.issue_to(key, {.subject = "DAC"});
  std::string content = "glTF of Alice";

  [[nodiscard]] tokens::AvatarMetadata metadata() const {
    const UnixSeconds now = to_unix(std::chrono::system_clock::now());
    const tokens::Sha256 digest = tokens::sha256(as_bytes(content));
    return {.content_digest = "sha-256-" + tokens::base64_encode(digest),
            .content_size = static_cast<std::int64_t>(content.size()),
            .content_type = "model/gltf-binary",
            .id = "avatar-1",
            .owner = tokens::Impu::parse("sip:alice@a.example").value(),
            .version = 3,
            .members = {},
            .iat = now,
            .exp = now + 600,
            .iss = "6f1c1c1e-0c39-4d7c-9f54-0a2c7a0f4d11"};
  }
  [[nodiscard]] std::string sign(const tokens::AvatarMetadata& metadata) const {
    return key.jws(tokens::build_avatar_metadata(metadata, certificate, {}).value());
  }
};

}  // namespace avseal::test
