// What a device maker says it made. It proves the device and nothing else: an IMPU has no place in it.
#pragma once

#include <string>
#include <vector>

#include "tokens/result.hpp"

namespace avseal::attestation {

struct ManifestEntry {
  std::string device;  // hex SHA-256 of the EK's SubjectPublicKeyInfo
  std::string serial;
  std::string model;
  std::string batch;
};

inline constexpr std::size_t manifest_max_entries = 100'000;

// Each EK once. As CSV
//   # maker: ExampleMaker
//   # version: 7
//   ek_sha256,serial,model,batch
//   <64 hex>,SN-1,XR-UE-1,2026-11
// without quoting, or as JSON
//   {"kind": "device-manifest", "maker": "ExampleMaker", "version": 7,
//    "devices": [{"ek_sha256": "..", "serial": "..", "model": "..", "batch": ".."}]}
struct Manifest {
  std::string maker;
  std::int64_t version = 0;
  std::vector<ManifestEntry> devices;

  // Reason "manifest-malformed", with the line or the JSON pointer.
  static Result<Manifest> parse(std::string_view document);
};

}  // namespace avseal::attestation
