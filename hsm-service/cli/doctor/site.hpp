// What the doctor examines: the configuration of a node and, once its token was surveyed, each worker's token and keys.
#pragma once

#include <map>
#include <optional>

#include "findings/finding.hpp"
#include "pkcs11/keys.hpp"
#include "service/config.hpp"
#include "tokend/config.hpp"
#include "tokens/clock.hpp"

namespace avseal::doctor {

// One worker configuration, and what it finds on its token. Its keys are usable while `login` lives.
struct Worker {
  std::string name;            // of [[tokens]], or the file's
  std::filesystem::path file;  // tokend.toml
  unsigned processes = 1;      // that avseald starts with it
  tokend::Config config;
  std::optional<pkcs11::Session> login;
  std::map<std::string, pkcs11::KeyDescription> keys;  // by configured name
};

struct Site {
  std::filesystem::path config_file;
  std::optional<service::Config> config;  // nothing if avseald.toml cannot be read
  std::vector<Worker> workers;            // those whose configuration could be read
  bool running = false;                   // something listens where avseald would
  UnixSeconds now = 0;
};

// Reads avseald.toml, the worker configurations that it names, and those given. What cannot be read is a finding.
Site load_site(const std::filesystem::path& config_file, const std::vector<std::string>& worker_files, UnixSeconds now,
               Findings& findings);

}  // namespace avseal::doctor
