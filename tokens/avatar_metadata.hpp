#pragma once

#include "tokens/certificate.hpp"
#include "tokens/clock.hpp"
#include "tokens/impu.hpp"
#include "tokens/jws.hpp"

namespace avseal::tokens {

inline constexpr std::string_view avatar_metadata_typ = "avatar-metadata+jwt";

struct AvatarMetadata {
  std::string content_digest;     // "sha-256-<standard base64>"
  std::int64_t content_size = 0;  // bytes
  std::string content_type;       // media type
  std::string id;
  Impu owner;
  std::int64_t version = 0;  // >= 1
  json::object members;      // the operator's own members of `avatar`; none of the names above
  UnixSeconds iat = 0;
  UnixSeconds exp = 0;
  std::string iss;  // DAC instance uuid
};

Result<std::string> build_avatar_metadata(const AvatarMetadata& metadata, const Certificate& signer,
                                          std::span<const Certificate> chain);  // "H.P"; kid and x5c of signer

struct SignedAvatarMetadata {
  AvatarMetadata metadata;
  std::vector<Certificate> x5c;  // leaf first
  Jws jws;
};

Result<SignedAvatarMetadata> parse_avatar_metadata(std::string_view compact);  // not the signature

// Signature by x5c's leaf, which must chain to `anchors`, be no CA, have digitalSignature and no UE EKU; not expired;
// the expected avatar, at least min_version. Reasons "signature-invalid", "certificate-*", "metadata-expired",
// "metadata-future", "metadata-other-avatar", "metadata-old-version".
Result<void> verify_metadata(const SignedAvatarMetadata& metadata, const TrustAnchors& anchors,
                             std::string_view expected_avatar_id, std::int64_t min_version, UnixSeconds now,
                             std::int64_t leeway = 5);

// Compares the digest and size of content that was hashed by the caller. Reason "content-mismatch".
Result<void> check_content(const AvatarMetadata& metadata, ByteView sha256, std::int64_t size);

}  // namespace avseal::tokens
