// The machine: separation of the processes, resource limits, room for the ledger.
#include <fstream>
#include <sstream>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>

#include <fmt/format.h>

#include "cli/doctor/checks.hpp"

namespace avseal::doctor {
namespace {

constexpr std::uint64_t mib = 1U << 20U;
constexpr std::uint64_t other_files = 256;         // besides the clients' connections
constexpr std::uint64_t memory_locked = 64 << 10;  // secrets, a page each

void check_separation(const service::Config& config, Findings& findings) {
  for (const auto& token : config.spawn) {
    findings.warning("workers-not-separated", token.name,
                     "avseald starts this token's workers itself, as its own user: WHOEVER TAKES OVER avseald HAS THE "
                     "PIN AND THE KEYS' USE",
                     "workers as units of their own, under a user of their own",
                     "for production, run avseal-tokend@NAME.service and give the token `sockets` instead of `spawn`");
  }
  if (config.spawn.empty()) findings.ok("workers-separated", "workers", "units of their own");
}

void check_disk(const ledger::Config& ledger, Findings& findings) {
  struct statvfs disk {};
  auto place = ledger.directory;
  while (!place.empty() && ::statvfs(place.c_str(), &disk) != 0 && place != place.root_path())
    place = place.parent_path();
  if (disk.f_frsize == 0) return;
  const auto free = static_cast<std::uint64_t>(disk.f_bavail) * disk.f_frsize;
  const auto subject = ledger.directory.string();
  const auto found = fmt::format("{} MiB free, reserve {} MiB", free / mib, ledger.reserve_bytes / mib);
  if (free < ledger.reserve_bytes) {
    findings.error("ledger-disk-full", subject, found, "more than the reserve, or every signature is refused",
                   "make room; never delete segments of the ledger");
  } else if (free < 4 * ledger.reserve_bytes) {
    findings.warning("ledger-disk-low", subject, found, "four times the reserve", "make room before it is gone");
  } else {
    findings.ok("ledger-disk", subject, found);
  }
}

// The process that holds the ledger's lock, as /proc/locks tells it; 0 if none.
pid_t ledger_owner(const std::filesystem::path& directory) {
  struct stat status {};
  if (::stat(directory.c_str(), &status) != 0) return 0;
  const auto file = fmt::format("{:02x}:{:02x}:{}", major(status.st_dev), minor(status.st_dev), status.st_ino);
  std::ifstream locks("/proc/locks");
  for (std::string line; std::getline(locks, line);) {
    std::istringstream fields(line);
    std::string number, type, advisory, access, place;
    pid_t pid = 0;
    if (fields >> number >> type >> advisory >> access >> pid >> place && type == "FLOCK" && place == file) return pid;
  }
  return 0;
}

struct Limits {
  std::string whose;
  rlim_t files = 0;
  rlim_t locked = 0;
  rlim_t core = 0;
};

// /proc/PID/limits has a line for each: name in 26 columns, soft, hard, unit.
std::optional<rlim_t> soft_limit(const std::string& limits, std::string_view name) {
  const auto at = limits.find(name);
  if (at == std::string::npos) return std::nullopt;
  std::istringstream rest(limits.substr(at + name.size()));
  std::string value;
  rest >> value;
  if (value == "unlimited") return RLIM_INFINITY;
  return static_cast<rlim_t>(std::stoull(value));
}

std::optional<Limits> limits_of(pid_t pid) {
  std::ifstream in(fmt::format("/proc/{}/limits", pid));
  std::ostringstream text;
  text << in.rdbuf();
  const auto files = soft_limit(text.str(), "Max open files");
  const auto locked = soft_limit(text.str(), "Max locked memory");
  const auto core = soft_limit(text.str(), "Max core file size");
  if (!files || !locked || !core) return std::nullopt;
  return Limits{fmt::format("avseald, process {}", pid), *files, *locked, *core};
}

// What a service started from here would have; it turns core dumps off itself.
Limits own_limits() {
  Limits out{"this shell", 0, 0, 0};
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) out.files = limit.rlim_cur;
  if (::getrlimit(RLIMIT_MEMLOCK, &limit) == 0) out.locked = limit.rlim_cur;
  return out;
}

void check_limits(const service::Config& config, Findings& findings) {
  const pid_t owner = ledger_owner(config.ledger.directory);
  const auto running = owner > 0 ? limits_of(owner) : std::nullopt;
  const auto limits = running.value_or(own_limits());
  const auto files = config.server.max_connections + other_files;
  if (limits.files < files) {
    findings.warning("limit-open-files", limits.whose, fmt::format("{} open files", limits.files),
                     fmt::format("{}, for max_connections = {}", files, config.server.max_connections),
                     "set LimitNOFILE in the unit (or ulimit -n), or lower max_connections");
  } else {
    findings.ok("limit-open-files", limits.whose, fmt::format("{} open files", limits.files));
  }
  if (limits.locked < memory_locked) {
    findings.warning("limit-locked-memory", limits.whose, fmt::format("{} bytes of locked memory", limits.locked),
                     fmt::format("{} bytes, to keep secrets out of swap", memory_locked),
                     "set LimitMEMLOCK in the unit (or ulimit -l)");
  } else {
    findings.ok("limit-locked-memory", limits.whose, "enough for secrets");
  }
  if (limits.core != 0) {
    findings.error("limit-core", limits.whose, "core dumps are on", "none: data keys pass through the process",
                   "set LimitCORE=0 in the unit and find out who turned them on");
  } else {
    findings.ok("limit-core", limits.whose, "no core dumps");
  }
}

}  // namespace

void check_host(const Site& site, Findings& findings) {
  if (!site.config) return;
  check_separation(*site.config, findings);
  check_disk(site.config->ledger, findings);
  check_limits(*site.config, findings);
}

}  // namespace avseal::doctor
