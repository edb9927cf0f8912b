#include <cstdio>
#include <cstdlib>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "service/config.hpp"
#include "service/service.hpp"

namespace {

// The TPM library would write a line of its own for each malformed structure that somebody sends.
void keep_libraries_quiet() {
  setenv("TSS2_LOG", "all+none", 0);
}

// Data keys pass through this process: no core dumps, no other process of the user may attach, files for us alone.
void keep_private() {
  const rlimit none{0, 0};
  setrlimit(RLIMIT_CORE, &none);
  prctl(PR_SET_DUMPABLE, 0);
  umask(077);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{
      "avseald: signs and verifies avatar calls with keys in an HSM.\n\n"
      "Reads its configuration (docs/operations.md explains every member), starts or connects to the avseal-tokend\n"
      "workers that hold the HSM login, and serves until SIGTERM. Try tools/quickstart first."};
  std::string config_file = "/etc/avseal/avseald.toml";
  bool check = false;
  app.add_option("--config", config_file, "configuration file")->capture_default_str();
  app.add_flag("--check", check, "only read the configuration, say what is wrong with it, and leave");
  CLI11_PARSE(app, argc, argv);

  keep_private();
  keep_libraries_quiet();
  auto config = avseal::service::load_config(config_file);
  if (!config) {
    fmt::print(stderr, "avseald: {}\n", config.error().detail);
    return 2;
  }
  if (check) {
    fmt::print("{}: valid\n", config_file);
    return 0;
  }
  const auto served = avseal::service::run(std::move(*config));
  if (!served) {
    fmt::print(stderr, "avseald: {}\n", served.error().detail);
    return 1;
  }
  return 0;
}
