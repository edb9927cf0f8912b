// Profiles of PKCS#11 modules: data files with what is known of them.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "tokend/quirks.hpp"

namespace avseal::tokend {

inline constexpr std::int64_t max_sessions = 64;

struct Profile {
  std::string name;
  std::string title;
  std::string status;                          // "verified" or "from documentation, not verified"
  std::vector<std::string> sources;            // what it says it from
  std::vector<std::filesystem::path> modules;  // where the vendor installs the module
  Quirks quirks;
  std::vector<std::string> guidance;  // for operators, a sentence each
  std::string own_log;                // what shows the HSM's log of the uses of its keys; empty: nothing known
};

bool is_profile_name(std::string_view name);  // lower-case letters, digits and '-', at most 32

// Strict: every member must be known. Reason "configuration-invalid", and the detail begins with file:line.
//
//   name = "softhsm2"                     as the file
//   title = "SoftHSM 2"
//   status = "verified"
//   sources = ["..."]
//   modules = ["/usr/lib/softhsm/libsofthsm2.so"]
//   guidance = ["..."]
//   own_log = "yubihsm-shell"             may be left out: no log of key uses, or none in a form that avseal reads
//   [quirks]                              each may be left out
//   read_only_sessions = true
//   os_locking = true
//   ecdsa = "auto"                        "raw" (CKM_ECDSA), "hashed" (CKM_ECDSA_SHA256/384)
//   sessions = 8                          1 to 64, where tokend.toml does not say
//   keepalive_seconds = 30                0 to 3600; 0: none
//   busy_codes = ["CKR_FUNCTION_FAILED"]  CKR_ names or numbers like 0x80000001
//   session_lost_codes = []
//   device_lost_codes = []
Result<Profile> parse_profile(std::string_view text, const std::filesystem::path& file);
Result<Profile> load_profile(const std::filesystem::path& directory, std::string_view name);

}  // namespace avseal::tokend
