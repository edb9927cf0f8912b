// Certificates made in the test's own process.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "../support/temp_dir.hpp"

namespace avseal::http::testing {

using avseal::test::TempDir;

struct Identity {
  std::shared_ptr<X509> certificate;
  std::shared_ptr<EVP_PKEY> key;
  std::filesystem::path certificate_file;
  std::filesystem::path key_file;
};

struct LeafOptions {
  std::string san;                               // as in OpenSSL's configuration: "DNS:localhost,IP:127.0.0.1"
  std::string usages = "serverAuth,clientAuth";  // extendedKeyUsage; empty: none
  long lifetime = 3600;
};

// A certificate authority that keeps its files and those of its leaves in `directory`.
class Ca {
 public:
  Ca(std::filesystem::path directory, const std::string& name);
  [[nodiscard]] Identity issue(const std::string& name, const LeafOptions& options) const;
  [[nodiscard]] const std::filesystem::path& file() const { return root_.certificate_file; }

 private:
  std::filesystem::path directory_;
  Identity root_;
};

}  // namespace avseal::http::testing
