// Whom EK certificates and platform certificates may come from.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "tokens/bytes.hpp"
#include "tokens/clock.hpp"
#include "tokens/result.hpp"

struct x509_st;

namespace avseal::attestation {

enum class AnchorKind { ek, platform };  // "ek-anchors", "platform-anchors"

struct ChainOptions {
  bool ignore_expiry = false;       // of a device that is enrolled already
  bool require_revocation = false;  // unknown revocation state is a refusal
};
struct ChainFacts {
  bool revocation_checked = false;
};

// Trust anchors by vendor, versioned. Never the system's: a vendor's certificates chain to that vendor's anchors.
//   {"kind": "ek-anchors", "version": 3, "vendors": [{"vendor": "id:53544D20", "name": "STMicroelectronics",
//     "anchors": [{"pem": "..", "sha256": "<hex of the DER>", "partial_chain": false}], "crls": ["PEM"]?}]}
// An anchor is a root; an intermediate certificate only completes chains, unless partial_chain makes it an anchor.
// "platform-anchors" has the platform manufacturer's string as "vendor"; there, partial_chain also makes an anchor of
// the certificate of somebody who signs attribute certificates and is no CA.
class Anchors {
 public:
  Anchors();  // trusts nobody
  // Reason "anchors-invalid", with the JSON pointer of the member.
  static Result<Anchors> parse(std::string_view document, AnchorKind kind);

  [[nodiscard]] std::int64_t version() const;
  [[nodiscard]] bool has(std::string_view vendor) const;

  // Reasons, after `prefix` ("ek-certificate" or "platform-certificate"): "-untrusted", "-expired", "-revoked",
  // "-revocation-unknown", "-critical-extension".
  [[nodiscard]] Result<ChainFacts> verify(std::string_view vendor, x509_st* leaf, std::span<const Bytes> chain,
                                          ChainOptions options, UnixSeconds now) const;

  // Certificates that may have signed what OpenSSL builds no chain for: the bundle's of this vendor, and those of the
  // chain. Whether they may be trusted, verify() says. Reasons "-untrusted", "-malformed" after the prefix.
  [[nodiscard]] Result<std::vector<std::shared_ptr<x509_st>>> signers(std::string_view vendor,
                                                                      std::span<const Bytes> chain) const;

 private:
  struct Data;
  std::shared_ptr<const Data> data_;
};

}  // namespace avseal::attestation
