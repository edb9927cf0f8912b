#include "tokens/avatar_metadata.hpp"

#include <algorithm>
#include <array>

#include "tokens/base64.hpp"
#include "tokens/claims.hpp"
#include "tokens/digest.hpp"

namespace avseal::tokens {
namespace {

constexpr std::size_t max_x5c = 4;
constexpr std::size_t max_size = 48 * 1024;  // the operator's own members need room
constexpr std::string_view digest_prefix = "sha-256-";
constexpr std::size_t max_media_type_size = 127;
constexpr std::array<std::string_view, 4> own_members = {"content", "id", "owner", "version"};

Error malformed(std::string detail, std::string param = {}) {
  return errors::make(Category::bad_request, "metadata-malformed", std::move(detail), std::move(param));
}

Error malformed(const Error& error) {
  return claims::within("metadata-malformed", error);
}

Error refused(std::string_view reason, std::string detail, const char* param) {
  return errors::make(Category::invalid, reason, std::move(detail), param);
}

bool is_own_member(std::string_view name) {
  return std::find(own_members.begin(), own_members.end(), name) != own_members.end();
}

Result<Bytes> digest_bytes(std::string_view text) {
  if (text.starts_with(digest_prefix)) {
    auto bytes = base64_decode(text.substr(digest_prefix.size()));
    if (bytes && bytes->size() == Sha256{}.size()) return bytes;
  }
  return malformed("expected \"sha-256-\" and base64 of 32 bytes", "/avatar/content/digest");
}

// type "/" subtype without parameters (RFC 6838 section 4.2).
bool is_media_type(std::string_view text) {
  const std::size_t slash = text.find('/');
  if (text.size() > max_media_type_size || slash == std::string_view::npos || slash == 0 || slash + 1 == text.size()) {
    return false;
  }
  return std::all_of(text.begin(), text.end(), [&](const char& c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("!#$&-^_.+").find(c) != std::string_view::npos || &c == text.data() + slash;
  });
}

Result<void> check_metadata(const AvatarMetadata& metadata) {
  AVSEAL_CHECK(digest_bytes(metadata.content_digest));
  if (metadata.content_size < 0) return malformed("expected a size in bytes", "/avatar/content/size");
  if (!is_media_type(metadata.content_type)) return malformed("expected a media type", "/avatar/content/type");
  if (const auto id = check_avatar_id(metadata.id); !id) return malformed(id.error());
  if (metadata.version < 1) return malformed("expected a version of at least 1", "/avatar/version");
  if (!is_uuid(metadata.iss)) return malformed("expected the UUID of a DAC instance", "/iss");
  if (!claims::is_time(metadata.iat) || !claims::is_time(metadata.exp) || metadata.exp <= metadata.iat) {
    return malformed("expected exp after iat, both between 1970 and the year 10000", "/exp");
  }
  if (has_fraction(json::value(metadata.members)))
    return malformed("expected integers only, found a fraction", "/avatar");
  for (const auto& member : metadata.members) {
    if (is_own_member(member.key())) return malformed("expected other names of the operator's own members", "/avatar");
  }
  return {};
}

Result<AvatarMetadata> read_metadata(const json::value& payload) {
  AVSEAL_TRY(auto reader, ObjectReader::open(payload));
  AVSEAL_TRY(auto avatar, reader.object("avatar"));
  AVSEAL_TRY(const auto exp, claims::time(reader, "exp"));
  AVSEAL_TRY(const auto iat, claims::time(reader, "iat"));
  AVSEAL_TRY(const auto iss, reader.string("iss"));
  AVSEAL_CHECK(reader.finish());

  AVSEAL_TRY(auto content, avatar.object("content"));
  AVSEAL_TRY(const auto digest, content.string("digest"));
  AVSEAL_TRY(const auto size, content.integer("size"));
  AVSEAL_TRY(const auto type, content.string("type"));
  AVSEAL_CHECK(content.finish());
  AVSEAL_TRY(const auto id, avatar.string("id"));
  AVSEAL_TRY(const auto owner_text, avatar.string("owner"));
  AVSEAL_TRY(const auto version, avatar.integer("version"));
  AVSEAL_TRY(auto owner, Impu::parse(owner_text));
  if (owner.canonical() != owner_text) return malformed("expected a canonical IMPU", "/avatar/owner");

  json::object members;
  for (const auto& member : avatar.raw()) {
    if (!is_own_member(member.key())) members.insert(member);
  }
  return AvatarMetadata{std::string(digest),
                        size,
                        std::string(type),
                        std::string(id),
                        std::move(owner),
                        version,
                        std::move(members),
                        iat,
                        exp,
                        std::string(iss)};
}

Result<std::vector<Certificate>> read_header(const json::value& value) {
  auto opened = ObjectReader::open(value);
  if (!opened) return malformed(opened.error());
  ObjectReader& reader = *opened;
  const auto typ = reader.optional_string("typ");
  if (!typ || *typ != avatar_metadata_typ) {
    return refused("metadata-type", "expected typ " + std::string(avatar_metadata_typ) + ", found another or none",
                   "/typ");
  }
  const auto alg = reader.string("alg");
  if (!alg) return malformed(alg.error());
  const auto kid = reader.string("kid");
  if (!kid) return malformed(kid.error());
  const auto texts = reader.strings("x5c");
  if (!texts) return malformed(texts.error());
  if (const auto done = reader.finish(); !done) return malformed(done.error());
  auto certificates = claims::x5c(*texts, max_x5c);
  if (!certificates) return malformed(certificates.error());
  if (certificates->front().public_key().thumbprint() != *kid) {
    return malformed("expected kid to be the thumbprint of the key of x5c's leaf", "/kid");
  }
  return std::move(*certificates);
}

Result<void> check_times(const AvatarMetadata& metadata, UnixSeconds now, std::int64_t leeway) {
  if (now >= metadata.exp + leeway) {
    return refused("metadata-expired", "expected metadata that expires after now, found expired ones; fetch them again",
                   "/exp");
  }
  if (metadata.iat > now + leeway) {
    return refused("metadata-future", "expected metadata issued before now, found later ones; set the clocks", "/iat");
  }
  return {};
}

}  // namespace

Result<std::string> build_avatar_metadata(const AvatarMetadata& metadata, const Certificate& signer,
                                          std::span<const Certificate> chain) {
  AVSEAL_CHECK(check_metadata(metadata));
  if (chain.size() >= max_x5c) return malformed("expected at most 3 certificates beside the signer's", "/x5c");
  const json::object header{{"alg", to_string(signer.public_key().algorithm())},
                            {"kid", signer.public_key().thumbprint()},
                            {"typ", avatar_metadata_typ},
                            {"x5c", claims::to_x5c(signer, chain)}};
  json::object avatar = metadata.members;
  avatar["content"] = json::object{
      {"digest", metadata.content_digest}, {"size", metadata.content_size}, {"type", metadata.content_type}};
  avatar["id"] = metadata.id;
  avatar["owner"] = metadata.owner.canonical();
  avatar["version"] = metadata.version;
  const json::object payload{
      {"avatar", std::move(avatar)}, {"exp", metadata.exp}, {"iat", metadata.iat}, {"iss", metadata.iss}};
  std::string input = jws_signing_input(header, payload);
  if (input.size() + 2 + signer.public_key().signature_size() * 4 / 3 > max_size) {
    return errors::make(Category::too_large, "metadata-too-large",
                        "expected signed metadata of at most 48 KiB, found more; shorten the own members", "/avatar");
  }
  return input;
}

Result<SignedAvatarMetadata> parse_avatar_metadata(std::string_view compact) {
  auto jws = parse_jws(compact, max_size);
  if (!jws) return malformed(jws.error());
  AVSEAL_TRY(auto x5c, read_header(json::value(jws->header)));
  auto metadata = read_metadata(jws->payload);
  if (!metadata) return malformed(metadata.error());
  AVSEAL_CHECK(check_metadata(*metadata));
  return SignedAvatarMetadata{std::move(*metadata), std::move(x5c), std::move(*jws)};
}

Result<void> verify_metadata(const SignedAvatarMetadata& metadata, const TrustAnchors& anchors,
                             std::string_view expected_avatar_id, std::int64_t min_version, UnixSeconds now,
                             std::int64_t leeway) {
  const Certificate& leaf = metadata.x5c.front();
  AVSEAL_CHECK(verify_jws(metadata.jws, leaf.public_key()));
  AVSEAL_CHECK(check_signer_usage(leaf));
  AVSEAL_CHECK(anchors.verify(leaf, std::span(metadata.x5c).subspan(1), now));
  AVSEAL_CHECK(check_times(metadata.metadata, now, leeway));
  if (metadata.metadata.id != expected_avatar_id) {
    return refused("metadata-other-avatar", "expected the avatar of this call, found another", "/avatar/id");
  }
  if (metadata.metadata.version < min_version) {
    return refused("metadata-old-version",
                   "expected version " + std::to_string(min_version) + " or later, found " +
                       std::to_string(metadata.metadata.version),
                   "/avatar/version");
  }
  return {};
}

Result<void> check_content(const AvatarMetadata& metadata, ByteView sha256, std::int64_t size) {
  AVSEAL_TRY(const Bytes expected, digest_bytes(metadata.content_digest));
  if (size != metadata.content_size || !equal_constant_time(expected, sha256)) {
    return refused("content-mismatch", "expected the content that the signed metadata name, found other bytes",
                   "/avatar/content");
  }
  return {};
}

}  // namespace avseal::tokens
