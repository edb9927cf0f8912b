#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "tokens/public_key.hpp"

namespace avseal::dac {

// An authorization role whose access tokens are taken.
struct Issuer {
  std::string id;                       // uuid: `iss`
  std::vector<tokens::PublicKey> keys;  // chosen by `kid`, the RFC 7638 thumbprint
};

struct Config {
  std::string instance_id;           // uuid: `aud` of access tokens, `iss` of metadata
  std::filesystem::path directory;   // of the sealed content; on one filesystem, mode 0700
  std::string realm = "avseal-dac";  // of WWW-Authenticate; no quote or backslash
  std::vector<std::string> scopes{
      "ndac-avatar"};                         // accepted `scope` values; the CAPIF form is "3gpp#<aefId>:<apiName>"
  std::vector<Issuer> issuers;                // none: nobody reads
  std::int64_t metadata_max_lifetime = 3600;  // seconds
  std::uint64_t max_content_bytes = std::uint64_t{1} << 30;
  std::vector<std::string> content_types{"model/gltf-binary", "model/gltf+json", "application/octet-stream"};
  std::int64_t staged_max_age = 24 * 3600;  // seconds; unpublished content is deleted after that
};

}  // namespace avseal::dac
