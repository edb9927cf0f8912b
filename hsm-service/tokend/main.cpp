#include <algorithm>
#include <csignal>
#include <cstdio>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <thread>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <systemd/sd-daemon.h>

#include "pkcs11/errors.hpp"
#include "tokend/server.hpp"

namespace {

using namespace avseal;
using namespace avseal::tokend;

constexpr int exit_restart = 1;    // another process may do better
constexpr int exit_permanent = 2;  // nothing changes until somebody changes the configuration, the token or the PIN
constexpr int exit_absent = 3;     // the token or a key on it is not there now
constexpr std::chrono::milliseconds absent_pause{200};  // so that restarts do not hammer the HSM

struct Options {
  std::string config;
  std::string socket;
  bool die_with_parent = false;
};

// A core dump or a debugger would show the PIN and data keys.
void harden(bool die_with_parent) {
  const pid_t parent = ::getppid();
  ::prctl(PR_SET_DUMPABLE, 0);
  const rlimit none{0, 0};
  ::setrlimit(RLIMIT_CORE, &none);
  if (!die_with_parent) return;
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(exit_restart);  // it died in between
}

void log_to_stderr(const std::string& level) {
  auto logger = spdlog::stderr_logger_mt("tokend");
  logger->set_pattern("%Y-%m-%dT%H:%M:%S.%eZ %l %v", spdlog::pattern_time_type::utc);
  logger->set_level(spdlog::level::from_str(level));
  spdlog::set_default_logger(std::move(logger));
}

bool is_one_of(std::string_view reason, std::initializer_list<std::string_view> reasons) {
  return std::find(reasons.begin(), reasons.end(), reason) != reasons.end();
}

int exit_code_of(const Error& error) {
  if (is_one_of(error.reason, {"configuration-invalid", "uri-invalid", "module-unusable", "token-ambiguous",
                               "key-ambiguous", "key-unsuitable", "pin-incorrect", "pin-guarded", "pin-unreadable",
                               "pin-unusable", "pin-burned", "pin-fuse-unreadable"})) {
    return exit_permanent;
  }
  return is_one_of(error.reason, {"token-not-present", "key-not-found"}) ? exit_absent : exit_restart;
}

// Leaves without modules' exit handlers: they crash or hang (SoftHSM's does).
[[noreturn]] void leave(const Error& error, int code) {
  const std::string reason(error.reason);  // last, where avseald looks for it
  std::fprintf(stderr, "avseal-tokend: %s (%s)\n", error.detail.c_str(), reason.c_str());
  std::fflush(stderr);
  if (code == exit_absent) std::this_thread::sleep_for(absent_pause);
  ::_exit(code);
}

[[noreturn]] void leave_service(const Error& error) {
  spdlog::error("event=leaving code={} ckr={} reason={}", exit_code_of(error), pkcs11::ckr_name(pkcs11::ckr_of(error)),
                error.reason);
  leave(error, exit_code_of(error));
}

// Before it served: an HSM that fails now is not there yet.
[[noreturn]] void leave_start(const Error& error) {
  const bool hsm = is_one_of(error.reason, {pkcs11::hsm_error, pkcs11::hsm_session_lost, pkcs11::hsm_device_lost,
                                            pkcs11::hsm_bad_signature, "state-unusable"});
  leave(error, hsm ? exit_absent : exit_code_of(error));
}

Result<Descriptor> open_listener(const Options& options, const Config& config) {
  AVSEAL_TRY(std::optional<Descriptor> inherited, inherited_listener());
  if (inherited) return std::move(*inherited);
  if (options.socket.empty()) {
    return errors::make(Category::invalid, "configuration-invalid",
                        "no socket: give --socket PATH or start it by systemd");
  }
  return listen_on(options.socket, config.socket_group);
}

Result<std::unique_ptr<Hsm>> open_hsm(const Config& config, Watchdog& watchdog, std::size_t thread) {
  Watchdog::Call watched(watchdog, thread);
  return Hsm::open(config, watched);
}

Result<void> serve(const Options& options) {
  AVSEAL_TRY(const Config config, load_config(options.config));
  log_to_stderr(config.log_level);
  AVSEAL_TRY(PeerPolicy peers, PeerPolicy::from(config));
  const unsigned starting = config.wanted_sessions();  // this thread, for the watchdog
  Watchdog watchdog(config.call_limit, starting + 1, [&config](std::size_t thread) {
    leave_service(errors::make(
        Category::unavailable, "hsm-hung",
        fmt::format("a PKCS#11 call of session {} did not return within {} ms", thread, config.call_limit.count())));
  });
  AVSEAL_TRY(const std::unique_ptr<Hsm> hsm, open_hsm(config, watchdog, starting));
  spdlog::info("event=logged-in token=\"{}\" serial={} keys={}", hsm->token_info().label, hsm->token_info().serial,
               hsm->keys().size());
  AVSEAL_TRY(Descriptor listener, open_listener(options, config));
  AVSEAL_TRY(const std::unique_ptr<Server> server, Server::create(std::move(listener), std::move(peers), *hsm));
  SessionPool pool(
      *hsm, watchdog, [&server] { server->wake(); }, leave_service);
  AVSEAL_CHECK(pool.start());
  ::sd_notify(0, "READY=1");
  spdlog::info("event=ready sessions={} socket=\"{}\"", pool.sessions(), options.socket);
  server->run(pool);
  spdlog::info("event=ended test_signatures={}", hsm->test_signatures());
  ::_exit(0);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"avseal-tokend: signs and wraps with the keys of one HSM token, for clients on a Unix socket"};
  Options options;
  app.add_option("--config", options.config, "configuration file (TOML)")->required();
  app.add_option("--socket", options.socket, "path of the socket to listen on, unless systemd hands one over");
  app.add_flag("--die-with-parent", options.die_with_parent, "end when the process that started this one ends");
  CLI11_PARSE(app, argc, argv);
  harden(options.die_with_parent);
  leave_start(serve(options).error());
}
