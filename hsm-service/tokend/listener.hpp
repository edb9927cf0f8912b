#pragma once

#include <sys/types.h>
#include <utility>
#include <vector>

#include "tokend/config.hpp"

namespace avseal::tokend {

// A file descriptor that closes itself.
class Descriptor {
 public:
  explicit Descriptor(int fd = -1) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Descriptor();
  [[nodiscard]] int get() const { return fd_; }

 private:
  int fd_;
};

// Who may connect, by the kernel's word (SO_PEERCRED): uid, or primary gid.
struct PeerPolicy {
  std::vector<uid_t> users;
  std::vector<gid_t> groups;

  // The process's own user, and the configured names or numbers. Reason "configuration-invalid" for an unknown name.
  static Result<PeerPolicy> from(const Config& config);
  [[nodiscard]] bool allows(uid_t user, gid_t group) const;
};

// A listening Unix stream socket at `path`, mode 0660, of the configured group. A socket file that nobody listens on is
// replaced. Reason "socket-in-use" if somebody does, "socket-unusable".
Result<Descriptor> listen_on(const std::filesystem::path& path, const std::string& group);

// The one listening socket that systemd handed over, or nothing. Reason "socket-unusable".
Result<std::optional<Descriptor>> inherited_listener();

}  // namespace avseal::tokend
