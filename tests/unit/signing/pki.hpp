// Keys and certificates of the tests, made with OpenSSL.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <openssl/evp.h>

#include "../support/temp_dir.hpp"
#include "tokens/certificate.hpp"

namespace avseal::test {

using Key = std::shared_ptr<EVP_PKEY>;
Key make_key();
Bytes sign_raw(const Key& key, ByteView message);  // r || s

struct Subject {
  std::string name = "signer";
  std::vector<std::string> san;         // "DNS:a.example", "IP:127.0.0.1", "URI:.."
  std::vector<std::string> extensions;  // OpenSSL configuration, "name=value"; oid=DER:hex
  UnixSeconds not_before = 0;
  UnixSeconds not_after = 0;
};

// A certificate authority.
struct Authority {
  Key key;
  tokens::Certificate certificate;
  static Authority create(const std::string& name, UnixSeconds now);
  [[nodiscard]] tokens::Certificate issue(const Subject& subject, const Key& subject_key) const;
  [[nodiscard]] std::string crl(const std::vector<tokens::Certificate>& revoked, UnixSeconds now) const;  // PEM
};

// keyUsage digitalSignature, valid for an hour around now, SAN a.example, TNAuthList 1703555000 count 10.
Subject signer_subject(UnixSeconds now);
std::string key_pem(const Key& key);

}  // namespace avseal::test
