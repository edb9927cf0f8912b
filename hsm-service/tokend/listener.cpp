#include "tokend/listener.hpp"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <grp.h>
#include <pwd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <fmt/format.h>
#include <systemd/sd-daemon.h>

namespace avseal::tokend {

namespace {

constexpr int backlog = 64;

Error unusable(const std::filesystem::path& path, std::string_view why) {
  return errors::make(Category::internal, "socket-unusable", fmt::format("socket {}: {}", path.string(), why));
}

template <class Id>
std::optional<Id> number(std::string_view text) {
  Id id = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return id;
}

Error unknown(std::string_view what, const std::string& name) {
  return errors::make(Category::invalid, "configuration-invalid",
                      fmt::format("[socket]: there is no {} \"{}\" on this machine", what, name));
}

Result<gid_t> group_of(const std::string& name) {
  if (const auto id = number<gid_t>(name)) return *id;
  const group* entry = ::getgrnam(name.c_str());
  if (entry == nullptr) return unknown("group", name);
  return entry->gr_gid;
}

Result<uid_t> user_of(const std::string& name) {
  if (const auto id = number<uid_t>(name)) return *id;
  const passwd* entry = ::getpwnam(name.c_str());
  if (entry == nullptr) return unknown("user", name);
  return entry->pw_uid;
}

// Removes a socket file that nobody listens on.
Result<void> clear(const std::filesystem::path& path, const sockaddr_un& address) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0) {
    if (errno == ENOENT) return {};
    return unusable(path, std::strerror(errno));
  }
  if (!S_ISSOCK(status.st_mode)) return unusable(path, "a file that is no socket is in its place");
  const Descriptor probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (::connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 || errno == EAGAIN) {
    return errors::make(Category::conflict, "socket-in-use",
                        fmt::format("socket {}: another process listens on it", path.string()));
  }
  if (errno != ECONNREFUSED || ::unlink(path.c_str()) != 0) return unusable(path, std::strerror(errno));
  return {};
}

}  // namespace

Descriptor::~Descriptor() {
  if (fd_ >= 0) ::close(fd_);
}

Result<PeerPolicy> PeerPolicy::from(const Config& config) {
  PeerPolicy policy;
  policy.users.push_back(::getuid());
  for (const std::string& name : config.allow_users) {
    AVSEAL_TRY(const uid_t user, user_of(name));
    policy.users.push_back(user);
  }
  for (const std::string& name : config.allow_groups) {
    AVSEAL_TRY(const gid_t group, group_of(name));
    policy.groups.push_back(group);
  }
  return policy;
}

bool PeerPolicy::allows(uid_t user, gid_t group) const {
  return std::find(users.begin(), users.end(), user) != users.end() ||
         std::find(groups.begin(), groups.end(), group) != groups.end();
}

Result<Descriptor> listen_on(const std::filesystem::path& path, const std::string& group) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.string().size() >= sizeof address.sun_path) return unusable(path, "the path is longer than 107 bytes");
  std::memcpy(address.sun_path, path.c_str(), path.string().size());
  AVSEAL_CHECK(clear(path, address));

  Descriptor listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (listener.get() < 0) return unusable(path, std::strerror(errno));
  const mode_t before = ::umask(0117);  // the file is never more open than 0660
  const int bound = ::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
  const int bind_error = errno;
  ::umask(before);
  if (bound != 0) return unusable(path, std::strerror(bind_error));
  if (!group.empty()) {
    AVSEAL_TRY(const gid_t id, group_of(group));
    if (::chown(path.c_str(), static_cast<uid_t>(-1), id) != 0) return unusable(path, std::strerror(errno));
  }
  if (::listen(listener.get(), backlog) != 0) return unusable(path, std::strerror(errno));
  return listener;
}

Result<std::optional<Descriptor>> inherited_listener() {
  const int count = ::sd_listen_fds(1);
  if (count <= 0) return std::optional<Descriptor>{};
  Descriptor listener(SD_LISTEN_FDS_START);
  if (count > 1 || ::sd_is_socket(listener.get(), AF_UNIX, SOCK_STREAM, 1) <= 0) {
    return unusable("from systemd", "expected exactly one listening Unix stream socket");
  }
  return std::optional<Descriptor>(std::move(listener));
}

}  // namespace avseal::tokend
