// Keys and certificates of the tests, made with OpenSSL.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <openssl/evp.h>

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

// A directory of its own, removed with everything in it.
class TempDir {
 public:
  TempDir();
  ~TempDir();
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  std::filesystem::path write(const std::string& name, std::string_view text) const;

 private:
  std::filesystem::path path_;
};

}  // namespace avseal::test
