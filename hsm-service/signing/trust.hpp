#pragma once

#include <functional>
#include <mutex>
#include <set>

#include "signing/config.hpp"
#include "tokens/certificate.hpp"

namespace avseal::signing {

// The `stir` anchors, their CRLs and the local deny list: may this certificate sign PASSporTs at all? Shared by the io
// threads.
class Trust {
 public:
  // Errors name the file: "stir-anchors-unreadable", "stir-deny-list-unreadable", and those of TrustAnchors::create.
  static Result<std::shared_ptr<Trust>> create(TrustConfig config);

  // Reads the files again; on an error nothing changes. What it gives puts them in force, for every verification that
  // starts afterwards.
  Result<std::function<void()>> reread();
  Result<void> reload();

  // Reasons "certificate-denied", "certificate-is-ca", "certificate-key-usage", "certificate-is-ue",
  // "certificate-constraints", "certificate-not-valid-at-iat" and those of TrustAnchors::verify; all `invalid`.
  [[nodiscard]] Result<void> check(std::span<const tokens::Certificate> chain, UnixSeconds iat, UnixSeconds now) const;

 private:
  struct Files {
    tokens::TrustAnchors anchors;
    std::set<std::string, std::less<>> denied;
  };
  explicit Trust(TrustConfig config) : config_(std::move(config)) {}
  [[nodiscard]] Result<std::shared_ptr<const Files>> read() const;

  const TrustConfig config_;
  mutable std::mutex mutex_;
  std::shared_ptr<const Files> files_;
};

}  // namespace avseal::signing
