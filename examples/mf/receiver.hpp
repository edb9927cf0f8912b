// The MF's own verification (TS 33.328 Annex, step h of the call): nothing that the XR AS says is taken on trust.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "examples/mf/expectations.hpp"
#include "tokens/avatar_metadata.hpp"
#include "tokens/clock.hpp"
#include "tokens/digest.hpp"

namespace avseal::mf {

// Hears of an avatar only after all checks passed.
using Renderer =
    std::function<Result<void>(std::string_view session, const tokens::AvatarMetadata& metadata, ByteView content)>;

struct ReceiverConfig {
  tokens::TrustAnchors anchors;  // of the signers of avatar metadata
  Expectations expectations;
  Renderer renderer;
  Clock clock = system_clock_now;
  std::int64_t max_content = 256 * 1024 * 1024;
  std::size_t max_sessions = 64;
};

// Content on its way in. It is kept from the renderer until finish() has compared size and digest.
class Content {
 public:
  Content(std::string session, tokens::SignedAvatarMetadata metadata)
      : session_(std::move(session)), metadata_(std::move(metadata)) {}
  Result<void> append(ByteView bytes);  // "content-mismatch" as soon as there is more than the metadata promises

 private:
  friend class Receiver;
  std::string session_;
  tokens::SignedAvatarMetadata metadata_;
  Bytes bytes_;
  tokens::Sha256Stream digest_;
};

class Receiver {
 public:
  explicit Receiver(ReceiverConfig config) : config_(std::move(config)) {}

  // Verifies signature, time, avatar and version, and waits for the content of `session`.
  Result<tokens::AvatarMetadata> accept_metadata(std::string_view session, std::string_view jws);
  // "metadata-missing" where accept_metadata has not passed; verified again, for time goes by.
  Result<std::unique_ptr<Content>> begin_content(std::string_view session);
  // Digest and size, then the renderer. Each accepted metadata serves once.
  Result<void> finish(Content& content);

 private:
  Result<void> verify(std::string_view session, const tokens::SignedAvatarMetadata& metadata) const;

  ReceiverConfig config_;
  std::map<std::string, tokens::SignedAvatarMetadata, std::less<>> waiting_;
};

}  // namespace avseal::mf
