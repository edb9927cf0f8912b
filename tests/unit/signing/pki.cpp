#include "pki.hpp"

#include <array>
#include <cstdlib>
#include <fstream>
#include <stdexcept>

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

namespace avseal::test {
namespace {

template <auto F>
struct Free {
  template <class T>
  void operator()(T* p) const {
    F(p);
  }
};
using X509Ptr = std::unique_ptr<X509, Free<X509_free>>;
using CrlPtr = std::unique_ptr<X509_CRL, Free<X509_CRL_free>>;
using BioPtr = std::unique_ptr<BIO, Free<BIO_free>>;

void require(bool good, const char* what) {
  if (!good) throw std::runtime_error(std::string("test PKI: ") + what);
}

std::string text_of(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return {data, static_cast<std::size_t>(size)};
}

void add_extension(X509* certificate, X509* issuer, const std::string& name, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  const bool is_oid = name.find('.') != std::string::npos;
  X509_EXTENSION* extension = is_oid ? X509V3_EXT_nconf(nullptr, &context, name.c_str(), value.c_str())
                                     : X509V3_EXT_nconf_nid(nullptr, &context, OBJ_sn2nid(name.c_str()), value.c_str());
  require(extension != nullptr, name.c_str());
  X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
}

// issuer: null for a self-signed certificate.
tokens::Certificate make_certificate(const Subject& subject, const Key& subject_key, X509* issuer,
                                     const Key& issuer_key) {
  static long serial = 1000;
  X509Ptr certificate(X509_new());
  X509_set_version(certificate.get(), X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate.get()), ++serial);
  ASN1_TIME_set(X509_getm_notBefore(certificate.get()), subject.not_before);
  ASN1_TIME_set(X509_getm_notAfter(certificate.get()), subject.not_after);
  X509_NAME* name = X509_get_subject_name(certificate.get());
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, reinterpret_cast<const unsigned char*>(subject.name.c_str()),
                             -1, -1, 0);
  X509* const signer = issuer != nullptr ? issuer : certificate.get();
  X509_set_issuer_name(certificate.get(), X509_get_subject_name(signer));
  X509_set_pubkey(certificate.get(), subject_key.get());
  std::string san;
  for (const auto& entry : subject.san) san += (san.empty() ? "" : ",") + entry;
  if (!san.empty()) add_extension(certificate.get(), signer, "subjectAltName", san);
  for (const auto& extension : subject.extensions) {
    const auto equal = extension.find('=');
    add_extension(certificate.get(), signer, extension.substr(0, equal), extension.substr(equal + 1));
  }
  add_extension(certificate.get(), signer, "subjectKeyIdentifier", "hash");
  if (issuer != nullptr) add_extension(certificate.get(), signer, "authorityKeyIdentifier", "keyid");
  require(X509_sign(certificate.get(), issuer_key.get(), EVP_sha256()) > 0, "X509_sign");
  return tokens::Certificate::from_native(certificate.get()).value();
}

}  // namespace

Key make_key() {
  EVP_PKEY* key = EVP_EC_gen("P-256");
  require(key != nullptr, "EVP_EC_gen");
  return {key, EVP_PKEY_free};
}

Bytes sign_raw(const Key& key, ByteView message) {
  std::unique_ptr<EVP_MD_CTX, Free<EVP_MD_CTX_free>> context(EVP_MD_CTX_new());
  std::array<unsigned char, 128> der{};
  std::size_t size = der.size();
  require(EVP_DigestSignInit(context.get(), nullptr, EVP_sha256(), nullptr, key.get()) == 1, "DigestSignInit");
  require(EVP_DigestSign(context.get(), der.data(), &size, message.data(), message.size()) == 1, "DigestSign");
  return tokens::signature_from_der(ByteView(der.data(), size), 64).value();
}

Authority Authority::create(const std::string& name, UnixSeconds now) {
  const Key key = make_key();
  Subject subject{name,
                  {},
                  {"basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign,cRLSign"},
                  now - 86400,
                  now + 86400};
  return {key, make_certificate(subject, key, nullptr, key)};
}

tokens::Certificate Authority::issue(const Subject& subject, const Key& subject_key) const {
  return make_certificate(subject, subject_key, certificate.native(), key);
}

std::string Authority::crl(const std::vector<tokens::Certificate>& revoked, UnixSeconds now) const {
  CrlPtr list(X509_CRL_new());
  X509_CRL_set_version(list.get(), X509_CRL_VERSION_2);
  X509_CRL_set_issuer_name(list.get(), X509_get_subject_name(certificate.native()));
  const std::unique_ptr<ASN1_TIME, Free<ASN1_TIME_free>> from(ASN1_TIME_set(nullptr, now - 3600));
  const std::unique_ptr<ASN1_TIME, Free<ASN1_TIME_free>> until(ASN1_TIME_set(nullptr, now + 86400));
  X509_CRL_set1_lastUpdate(list.get(), from.get());
  X509_CRL_set1_nextUpdate(list.get(), until.get());
  for (const auto& one : revoked) {
    X509_REVOKED* entry = X509_REVOKED_new();
    X509_REVOKED_set_serialNumber(entry, X509_get_serialNumber(one.native()));
    X509_REVOKED_set_revocationDate(entry, from.get());
    X509_CRL_add0_revoked(list.get(), entry);
  }
  require(X509_CRL_sign(list.get(), key.get(), EVP_sha256()) > 0, "X509_CRL_sign");
  const BioPtr bio(BIO_new(BIO_s_mem()));
  PEM_write_bio_X509_CRL(bio.get(), list.get());
  return text_of(bio.get());
}

Subject signer_subject(UnixSeconds now) {
  // TNAuthList: one range of ten numbers from 17035550000.
  return {"signer",
          {"DNS:a.example"},
          {"basicConstraints=critical,CA:FALSE", "keyUsage=critical,digitalSignature",
           "1.3.6.1.5.5.7.1.26=DER:3014a1123010160b313730333535353030303002010a"},
          now - 3600,
          now + 3600};
}

std::string key_pem(const Key& key) {
  const BioPtr bio(BIO_new(BIO_s_mem()));
  PEM_write_bio_PrivateKey(bio.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr);
  return text_of(bio.get());
}

}  // namespace avseal::test
