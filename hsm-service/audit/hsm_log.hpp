// The log that an HSM keeps of what its keys did, in the form in which a vendor's program prints it.
#pragma once

#include <array>
#include <string_view>
#include <vector>

#include "tokens/bytes.hpp"
#include "tokens/result.hpp"

namespace avseal::audit {

// An entry of a YubiHSM 2.
struct HsmEntry {
  using Hash = std::array<std::uint8_t, 16>;

  std::uint16_t number = 0;  // rises by one, and begins anew behind 65535
  std::uint8_t command = 0;
  std::uint16_t length = 0;
  std::uint16_t session_key = 0;
  std::uint16_t target = 0;  // the object that the command is about; 0xffff: none
  std::uint16_t second = 0;  // another one; 0xffff: none
  std::uint8_t result = 0;   // of a command that succeeded: its code and 0x80
  std::uint32_t tick = 0;
  Hash hash{};

  bool operator==(const HsmEntry&) const = default;
  // The first one after a reset: number 1 and nothing but ones up to the hash, which is random.
  [[nodiscard]] bool begins_log() const;
  // The first 16 bytes of SHA-256 over the members in their order, big-endian, and the hash of the entry before.
  [[nodiscard]] Hash hash_behind(const Hash& before) const;
};

// What one call printed.
struct HsmOutput {
  // Events that found the log full.
  std::uint16_t unlogged_boots = 0;
  std::uint16_t unlogged_authentications = 0;
  std::vector<HsmEntry> entries;
};

// Outputs of `yubihsm-shell -a get-logs`, one after the other:
//
//   0 unlogged boots found
//   0 unlogged authentications found
//   Found 1 item                          "Found N items"; "No logs to extract"
//   item:     1 -- cmd: 0xff -- length: 65535 -- session key: 0xffff -- target key: 0xffff -- second key: 0xffff -- ...
//   (in the same line) ... result: 0xff -- tick: 4294967295 -- hash: 6830a758581287b99c4de5172126daf6
//
// Each line to the byte. Reason "hsm-log-malformed"; the detail begins with "line N: ".
Result<std::vector<HsmOutput>> parse_hsm_log(std::string_view text);

}  // namespace avseal::audit
