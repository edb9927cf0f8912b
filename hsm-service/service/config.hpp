#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "authorization/config.hpp"
#include "clock/monitor.hpp"
#include "dac/config.hpp"
#include "enrollment/config.hpp"
#include "http/client_table.hpp"
#include "http/server.hpp"
#include "keyring/keyring.hpp"
#include "keyring/workers.hpp"
#include "ledger/ledger.hpp"
#include "ledger_http/config.hpp"
#include "service/witnesses.hpp"
#include "signing/config.hpp"

namespace avseal::service {

struct Config {
  std::filesystem::path file;
  std::string digest;                          // base64url SHA-256 of the file
  std::map<std::string, std::string> members;  // "server.port" and its text, for needs_restart()

  http::ServerConfig server;
  std::string public_url;  // https://host[:port], the base of x5u
  unsigned threads = 1;
  std::string log_target = "stderr";  // or "journal"
  std::string log_level = "info";

  std::filesystem::path socket_directory;  // of spawned workers
  keyring::KeyringConfig keyring;
  std::vector<keyring::SpawnedToken> spawn;  // workers that avseald starts itself

  clock::Config clock;
  ledger::Config ledger;
  WitnessesConfig witnesses;
  ledger_http::Config ledger_http;
  std::filesystem::path store_file;
  std::filesystem::path row_key_file;  // the store's row key, wrapped by dac-kek

  std::vector<http::ClientEntry> clients;

  // A role is on when its table is there.
  std::optional<signing::Config> signing;
  std::optional<authorization::Config> authorization;
  std::optional<dac::Config> dac;
  std::optional<enrollment::Config> enrollment;
};

// Reads avseald.toml (docs/operations.md lists every member). Errors begin with file:line and say what was expected.
Result<Config> load_config(const std::filesystem::path& file);

// The members that differ and that a running service cannot change: "server.port".
std::vector<std::string> needs_restart(const Config& running, const Config& wanted);

}  // namespace avseal::service
