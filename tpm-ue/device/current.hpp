// What this device is now: its key and its certificate.
#pragma once

#include <memory>
#include <mutex>
#include <vector>

#include "device/provision.hpp"
#include "tokens/certificate.hpp"
#include "tokens/clock.hpp"
#include "tokens/impu.hpp"

namespace avseal::device {

inline constexpr std::size_t chain_max_size = 64 * 1024;

// The one IMPU that a UE certificate names. Reason "ue-certificate-refused".
Result<tokens::Impu> impu_of(const tokens::Certificate& leaf);
// Is `leaf` a UE certificate of `key`, valid now? Reasons "ue-certificate-refused", "certificate-expired".
Result<void> check_leaf(const tokens::Certificate& leaf, const tokens::PublicKey& key, UnixSeconds now);

struct Current {
  std::shared_ptr<const StoredKey> stored;
  tokens::PublicKey key;
  std::vector<tokens::Certificate> chain;  // empty before the first certificate
};
Result<Current> read_current(const StateDirectory& directory, const std::filesystem::path& credentials);

// Shared by the threads of a device; a snapshot stays whole while another one takes its place.
class CurrentHolder {
 public:
  explicit CurrentHolder(Current current) : current_(std::make_shared<const Current>(std::move(current))) {}
  [[nodiscard]] std::shared_ptr<const Current> get() const {
    const std::lock_guard guard(mutex_);
    return current_;
  }
  void set(std::shared_ptr<const Current> current) {
    const std::lock_guard guard(mutex_);
    current_ = std::move(current);
  }

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<const Current> current_;
};

}  // namespace avseal::device
