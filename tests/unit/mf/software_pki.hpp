// Certificates and signatures by keys in memory, for tests of what verifies them.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/x509v3.h>

#include "tokens/certificate.hpp"
#include "tokens/digest.hpp"
#include "tokens/jws.hpp"

namespace avseal::test {

class SoftwareKey {
 public:
  SoftwareKey() : key_(EVP_EC_gen("P-256"), EVP_PKEY_free) {}
  [[nodiscard]] tokens::PublicKey public_key() const { return tokens::PublicKey(key_); }
  [[nodiscard]] evp_pkey_st* native() const { return key_.get(); }

  [[nodiscard]] Bytes sign(ByteView message) const {
    const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
    Bytes der(80);
    std::size_t size = der.size();
    if (EVP_DigestSignInit(context.get(), nullptr, EVP_sha256(), nullptr, key_.get()) != 1 ||
        EVP_DigestSign(context.get(), der.data(), &size, message.data(), message.size()) != 1) {
      std::abort();
    }
    return tokens::signature_from_der(ByteView(der).first(size), 64).value();
  }
  [[nodiscard]] std::string jws(const std::string& signing_input) const {
    return tokens::jws_assemble(signing_input, sign(as_bytes(signing_input)));
  }

 private:
  std::shared_ptr<EVP_PKEY> key_;
};

struct CertificateOptions {
  std::string subject{"test"};
  bool ca = false;
  std::string san{};  // OpenSSL text: "DNS:a.example,URI:sip:.."
  std::string eku{};  // OID or name
  long from = -60;    // seconds from now
  long until = 3600;
};

// `issuer_certificate` null: self-signed.
inline tokens::Certificate issue(const SoftwareKey& subject, const SoftwareKey& issuer,
                                 const tokens::Certificate* issuer_certificate, const CertificateOptions& options) {
  const std::unique_ptr<X509, decltype(&X509_free)> x509(X509_new(), X509_free);
  X509_set_version(x509.get(), 2);
  const Bytes serial = tokens::random_bytes(8);
  ASN1_INTEGER_set_uint64(X509_get_serialNumber(x509.get()),
                          serial[0] + 1U + (std::uint64_t{serial[1]} << 8U) + (std::uint64_t{serial[2]} << 16U));
  X509_gmtime_adj(X509_getm_notBefore(x509.get()), options.from);
  X509_gmtime_adj(X509_getm_notAfter(x509.get()), options.until);
  X509_NAME* name = X509_get_subject_name(x509.get());
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, reinterpret_cast<const unsigned char*>(options.subject.c_str()),
                             -1, -1, 0);
  X509* signer = issuer_certificate != nullptr ? issuer_certificate->native() : x509.get();
  X509_set_issuer_name(x509.get(), X509_get_subject_name(signer));
  X509_set_pubkey(x509.get(), subject.native());
  X509V3_CTX context;
  X509V3_set_ctx(&context, signer, x509.get(), nullptr, nullptr, 0);
  const auto extend = [&](int nid, const std::string& text) {
    if (text.empty()) return;
    const std::unique_ptr<X509_EXTENSION, decltype(&X509_EXTENSION_free)> extension(
        X509V3_EXT_conf_nid(nullptr, &context, nid, text.c_str()), X509_EXTENSION_free);
    if (!extension || X509_add_ext(x509.get(), extension.get(), -1) != 1) std::abort();
  };
  extend(NID_basic_constraints, options.ca ? "critical,CA:TRUE" : "critical,CA:FALSE");
  extend(NID_key_usage, options.ca ? "critical,keyCertSign,cRLSign" : "critical,digitalSignature");
  extend(NID_subject_key_identifier, "hash");
  extend(NID_subject_alt_name, options.san);
  extend(NID_ext_key_usage, options.eku);
  if (X509_sign(x509.get(), issuer.native(), EVP_sha256()) == 0) std::abort();
  return tokens::Certificate::from_native(x509.get()).value();
}

// A CA in memory.
struct SoftwareCa {
  SoftwareKey key;
  tokens::Certificate certificate;
  explicit SoftwareCa(std::string name = "test CA")
      : certificate(issue(key, key, nullptr, {.subject = std::move(name), .ca = true})) {}
  [[nodiscard]] tokens::Certificate issue_to(const SoftwareKey& subject, const CertificateOptions& options) const {
    return issue(subject, key, &certificate, options);
  }
  [[nodiscard]] tokens::TrustAnchors anchors() const { return tokens::TrustAnchors::create(certificate.pem()).value(); }
};

}  // namespace avseal::test
