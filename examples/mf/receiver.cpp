#include "examples/mf/receiver.hpp"

namespace avseal::mf {

Result<void> Content::append(ByteView bytes) {
  const auto promised = static_cast<std::uint64_t>(metadata_.metadata.content_size);
  if (bytes_.size() + bytes.size() > promised) {
    return errors::make(Category::invalid, "content-mismatch",
                        "more content than the " + std::to_string(promised) + " bytes of the signed metadata");
  }
  bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
  digest_.update(bytes);
  return {};
}

Result<void> Receiver::verify(std::string_view session, const tokens::SignedAvatarMetadata& metadata) const {
  AVSEAL_TRY(const Expected expected, config_.expectations.of(session));
  AVSEAL_CHECK(tokens::verify_metadata(metadata, config_.anchors, expected.avatar_id, expected.min_version,
                                       to_unix(config_.clock())));
  if (metadata.metadata.content_size > config_.max_content) {
    return errors::make(Category::too_large, "content-too-large",
                        "this MF takes avatars of at most " + std::to_string(config_.max_content) + " bytes");
  }
  return {};
}

Result<tokens::AvatarMetadata> Receiver::accept_metadata(std::string_view session, std::string_view jws) {
  AVSEAL_TRY(tokens::SignedAvatarMetadata metadata, tokens::parse_avatar_metadata(jws));
  AVSEAL_CHECK(verify(session, metadata));
  if (waiting_.size() >= config_.max_sessions && waiting_.find(session) == waiting_.end()) {
    return errors::make(Category::unavailable, "too-many-sessions", "too many sessions wait for their content");
  }
  const auto [place, fresh] = waiting_.insert_or_assign(std::string(session), std::move(metadata));
  return place->second.metadata;
}

Result<std::unique_ptr<Content>> Receiver::begin_content(std::string_view session) {
  const auto found = waiting_.find(session);
  if (found == waiting_.end()) {
    return errors::make(Category::conflict, "metadata-missing",
                        "send the signed metadata of this session first; content without it is not looked at");
  }
  auto content = std::make_unique<Content>(std::string(session), std::move(found->second));
  waiting_.erase(found);
  AVSEAL_CHECK(verify(session, content->metadata_));
  return content;
}

Result<void> Receiver::finish(Content& content) {
  const tokens::Sha256 digest = content.digest_.finish();
  AVSEAL_CHECK(
      tokens::check_content(content.metadata_.metadata, digest, static_cast<std::int64_t>(content.bytes_.size())));
  AVSEAL_CHECK(verify(content.session_, content.metadata_));
  return config_.renderer(content.session_, content.metadata_.metadata, content.bytes_);
}

}  // namespace avseal::mf
