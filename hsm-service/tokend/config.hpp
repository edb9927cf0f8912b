#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "pkcs11/key_kind.hpp"
#include "pkcs11/uri.hpp"
#include "tokend/profile.hpp"

namespace avseal::tokend {

struct KeyConfig {
  std::string name;  // of the clients' requests
  pkcs11::KeyKind kind = pkcs11::KeyKind::avatar_id;
  pkcs11::Uri uri;
  unsigned max_rate = 0;                     // signatures per second of this process; 0: no ceiling
  std::filesystem::path issuer_certificate;  // ue-ca only: the certificate of this key
  std::int64_t max_validity_days = 0;        // ue-ca only
  std::string origin;                        // ledger only
};

struct Config {
  std::filesystem::path module;
  pkcs11::Uri token;
  std::filesystem::path pin_file;              // either this
  std::string pin_credential;                  // or a systemd credential
  std::filesystem::path state_directory;       // what must outlive the process; the same for all workers of a token
  std::optional<unsigned> sessions;            // threads with a session each; else the profile's, else one
  std::chrono::milliseconds call_limit{5000};  // a PKCS#11 call that outlives it ends the process
  std::string profile;                         // of the module; empty: none
  std::filesystem::path profile_directory = "/usr/share/avseal/profiles";
  Quirks quirks;  // the profile's
  std::string log_level = "info";
  std::string socket_group;              // empty: the process's own
  std::vector<std::string> allow_users;  // names or numbers; besides the process's own user
  std::vector<std::string> allow_groups;
  std::vector<KeyConfig> keys;

  [[nodiscard]] unsigned wanted_sessions() const { return sessions.value_or(quirks.sessions.value_or(1)); }
};

// Reads the worker's TOML file; every member must be known. Paths are relative to the file. Reason
// "configuration-invalid", and the detail begins with file:line.
//
//   module = "/usr/lib/softhsm/libsofthsm2.so"
//   token = "pkcs11:token=avseal"
//   pin_file = "pin"                      or pin_credential = "pin"
//   state_directory = "state"             else $STATE_DIRECTORY, which systemd sets
//   profile = "softhsm2"                  a file of profile_directory, "/usr/share/avseal/profiles"
//   sessions = 1                          1 to 64
//   call_limit_ms = 5000                  100 to 600000
//   log_level = "info"                    debug, info, warning, error
//   [socket]
//   group = "avseal-hsm"
//   allow_users = ["avseald"]
//   allow_groups = []
//   [[keys]]
//   name = "ue-ca"
//   kind = "ue-ca"
//   uri = "pkcs11:object=ue-ca"
//   max_rate = 0
//   issuer_certificate = "ue-ca.pem"      ue-ca
//   max_validity_days = 31                ue-ca, 1 to 825
//   origin = "operator.example/node-1"    ledger
Result<Config> load_config(const std::filesystem::path& file);
Result<Config> parse_config(std::string_view text, const std::filesystem::path& file);

}  // namespace avseal::tokend
