#include "cli/doctor/site.hpp"

#include <arpa/inet.h>
#include <cstdlib>
#include <sys/socket.h>
#include <unistd.h>

#include <fmt/format.h>

namespace avseal::doctor {
namespace {

constexpr const char* unit_state_directory = "/var/lib/avseal-tokend";  // of avseal-tokend@.service

void load_worker(Site& site, std::string name, const std::filesystem::path& file, unsigned processes,
                 Findings& findings) {
  auto config = tokend::load_config(file);
  if (!config) {
    findings.error(config.error(), file.string(), "a worker configuration that avseal-tokend takes",
                   "correct the file; docs/operations.md lists its members");
    return;
  }
  findings.ok("worker-configuration", file.string(), fmt::format("{} keys", config->keys.size()));
  site.workers.push_back({std::move(name), file, processes, std::move(*config), std::nullopt, {}});
}

// Whether the address that avseald would listen on takes connections.
bool listens(const http::ServerConfig& server) {
  if (server.port == 0) return false;
  sockaddr_in v4{};
  v4.sin_family = AF_INET;
  v4.sin_port = htons(server.port);
  sockaddr_in6 v6{};
  v6.sin6_family = AF_INET6;
  v6.sin6_port = htons(server.port);
  const bool is_v4 = ::inet_pton(AF_INET, server.address.c_str(), &v4.sin_addr) == 1;
  if (!is_v4 && ::inet_pton(AF_INET6, server.address.c_str(), &v6.sin6_addr) != 1) return false;
  const int fd = ::socket(is_v4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  const auto* address = is_v4 ? reinterpret_cast<const sockaddr*>(&v4) : reinterpret_cast<const sockaddr*>(&v6);
  const bool connected = ::connect(fd, address, is_v4 ? sizeof v4 : sizeof v6) == 0;
  ::close(fd);
  return connected;
}

}  // namespace

Site load_site(const std::filesystem::path& config_file, const std::vector<std::string>& worker_files, UnixSeconds now,
               Findings& findings) {
  ::setenv("STATE_DIRECTORY", unit_state_directory, 0);
  Site site;
  site.config_file = config_file;
  site.now = now;
  auto config = service::load_config(config_file);
  if (config) {
    findings.ok("configuration", config_file.string(),
                fmt::format("{} tokens, {} keys, {} clients", config->keyring.tokens.size(),
                            config->keyring.keys.size(), config->clients.size()));
    site.running = listens(config->server);
    for (const auto& spawned : config->spawn) {
      load_worker(site, spawned.name, spawned.config_file, spawned.count, findings);
    }
    site.config = std::move(*config);
  } else {
    findings.error(config.error(), config_file.string(), "a configuration that avseald takes",
                   "correct the file; `avseald --check` reads it too, and docs/operations.md lists its members");
  }
  for (const std::filesystem::path file : worker_files) load_worker(site, file.stem().string(), file, 1, findings);
  return site;
}

}  // namespace avseal::doctor
