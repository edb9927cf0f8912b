#include "pki.hpp"

#include <cstdio>
#include <cstdlib>
#include <stdexcept>

#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

namespace avseal::http::testing {

namespace {

void check(bool ok) {
  if (!ok) throw std::runtime_error("OpenSSL failed in the test's PKI");
}

void add_extension(X509* certificate, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  const std::unique_ptr<X509_EXTENSION, decltype(&X509_EXTENSION_free)> extension(
      X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str()), X509_EXTENSION_free);
  check(extension && X509_add_ext(certificate, extension.get(), -1) == 1);
}

Identity make(const std::filesystem::path& directory, const std::string& name, const Identity* issuer,
              const LeafOptions& options) {
  Identity identity;
  identity.key = {EVP_EC_gen("P-256"), EVP_PKEY_free};
  identity.certificate = {X509_new(), X509_free};
  X509* x = identity.certificate.get();
  X509_set_version(x, X509_VERSION_3);
  std::uint64_t serial = 0;
  check(RAND_bytes(reinterpret_cast<unsigned char*>(&serial), sizeof serial) == 1);
  ASN1_INTEGER_set_uint64(X509_get_serialNumber(x), serial >> 1);
  X509_gmtime_adj(X509_getm_notBefore(x), -60);
  X509_gmtime_adj(X509_getm_notAfter(x), options.lifetime);
  X509_set_pubkey(x, identity.key.get());
  X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
  X509* parent = issuer ? issuer->certificate.get() : x;
  X509_set_issuer_name(x, X509_get_subject_name(parent));
  add_extension(x, parent, NID_basic_constraints, issuer ? "critical,CA:FALSE" : "critical,CA:TRUE");
  add_extension(x, parent, NID_key_usage, issuer ? "critical,digitalSignature" : "critical,keyCertSign,cRLSign");
  add_extension(x, parent, NID_subject_key_identifier, "hash");
  if (!options.san.empty()) add_extension(x, parent, NID_subject_alt_name, options.san);
  if (issuer && !options.usages.empty()) add_extension(x, parent, NID_ext_key_usage, options.usages);
  check(X509_sign(x, issuer ? issuer->key.get() : identity.key.get(), EVP_sha256()) > 0);

  identity.certificate_file = directory / (name + ".pem");
  identity.key_file = directory / (name + ".key");
  FILE* file = std::fopen(identity.certificate_file.c_str(), "w");
  check(file && PEM_write_X509(file, x) == 1);
  std::fclose(file);
  file = std::fopen(identity.key_file.c_str(), "w");
  check(file && PEM_write_PrivateKey(file, identity.key.get(), nullptr, nullptr, 0, nullptr, nullptr) == 1);
  std::fclose(file);
  return identity;
}

}  // namespace

Ca::Ca(std::filesystem::path directory, const std::string& name)
    : directory_(std::move(directory)), root_(make(directory_, name, nullptr, LeafOptions{})) {}

Identity Ca::issue(const std::string& name, const LeafOptions& options) const {
  return make(directory_, name, &root_, options);
}

}  // namespace avseal::http::testing
