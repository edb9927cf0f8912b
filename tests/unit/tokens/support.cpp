#include "support.hpp"

#include <stdexcept>

#include <openssl/pem.h>

#include "tokens/base64.hpp"
#include "tokens/digest.hpp"
#include "tokens/jws.hpp"
#include "tokens/openssl.hpp"

namespace avseal::tokens::testing {
namespace {

void require(bool done, const char* what) {
  if (!done) throw std::runtime_error(what);
}

void add_extension(X509* x509, X509* issuer, int nid, const std::string& value) {
  if (value.empty()) return;
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, x509, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str());
  require(extension != nullptr, value.c_str());
  X509_add_ext(x509, extension, -1);
  X509_EXTENSION_free(extension);
}

void add_raw_extension(X509* x509, const std::string& oid, const Bytes& der, bool critical) {
  const ssl::Object object(OBJ_txt2obj(oid.c_str(), 1));
  ASN1_OCTET_STRING* value = ASN1_OCTET_STRING_new();
  ASN1_OCTET_STRING_set(value, der.data(), static_cast<int>(der.size()));
  X509_EXTENSION* extension = X509_EXTENSION_create_by_OBJ(nullptr, object.get(), critical ? 1 : 0, value);
  X509_add_ext(x509, extension, -1);
  X509_EXTENSION_free(extension);
  ASN1_OCTET_STRING_free(value);
}

const EVP_MD* hash_of(const SigningKey& key) {
  return key.public_key().algorithm() == Algorithm::es256 ? EVP_sha256() : EVP_sha384();
}

Certificate make(const PublicKey& key, const CertificateOptions& options, const SigningKey& signer, X509* issuer) {
  const ssl::X509Ptr x509(X509_new());
  X509* const authority = issuer != nullptr ? issuer : x509.get();
  X509_set_version(x509.get(), X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(x509.get()), options.serial);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(x509.get()), "CN", MBSTRING_UTF8,
                             reinterpret_cast<const unsigned char*>(options.subject.c_str()), -1, -1, 0);
  X509_set_issuer_name(x509.get(), X509_get_subject_name(authority));
  ASN1_TIME_set(X509_getm_notBefore(x509.get()), static_cast<std::time_t>(options.not_before));
  ASN1_TIME_set(X509_getm_notAfter(x509.get()), static_cast<std::time_t>(options.not_after));
  X509_set_pubkey(x509.get(), key.native());
  add_extension(x509.get(), authority, NID_basic_constraints, options.ca ? "critical,CA:TRUE" : "critical,CA:FALSE");
  add_extension(x509.get(), authority, NID_key_usage, options.key_usage);
  add_extension(x509.get(), authority, NID_ext_key_usage, options.extended_key_usage);
  add_extension(x509.get(), authority, NID_subject_alt_name, options.san);
  add_extension(x509.get(), authority, NID_subject_key_identifier, "hash");
  add_extension(x509.get(), authority, NID_authority_key_identifier, "keyid");
  for (const auto& [oid, der] : options.extensions)
    add_raw_extension(x509.get(), oid, der, options.critical_extensions);
  require(X509_sign(x509.get(), signer.native(), hash_of(signer)) > 0, "X509_sign");
  const Bytes der = ssl::to_der<const X509>(i2d_X509, x509.get());
  return Certificate::from_der(der).value();
}

}  // namespace

SigningKey::SigningKey(Algorithm algorithm)
    : SigningKey(
          std::shared_ptr<evp_pkey_st>(EVP_EC_gen(algorithm == Algorithm::es256 ? "P-256" : "P-384"), EVP_PKEY_free)) {}

SigningKey SigningKey::from_pkcs8(std::string_view base64) {
  const Bytes der = base64_decode(base64).value();
  const unsigned char* at = der.data();
  EVP_PKEY* key = d2i_AutoPrivateKey(nullptr, &at, static_cast<long>(der.size()));
  require(key != nullptr, "d2i_AutoPrivateKey");
  return SigningKey(std::shared_ptr<evp_pkey_st>(key, EVP_PKEY_free));
}

Bytes SigningKey::sign(std::string_view message) const {
  const std::unique_ptr<EVP_MD_CTX, ssl::Free<EVP_MD_CTX_free>> context(EVP_MD_CTX_new());
  std::size_t size = 256;
  Bytes der(size);
  require(EVP_DigestSignInit(context.get(), nullptr, hash_of(*this), nullptr, native()) == 1 &&
              EVP_DigestSign(context.get(), der.data(), &size, as_bytes(message).data(), message.size()) == 1,
          "EVP_DigestSign");
  der.resize(size);
  return signature_from_der(der, public_key_.signature_size()).value();
}

std::string SigningKey::sign_jws(std::string_view signing_input) const {
  return jws_assemble(signing_input, sign(signing_input));
}

CertificateOptions ca_options(const std::string& subject) {
  CertificateOptions options;
  options.subject = subject;
  options.ca = true;
  options.key_usage = "critical,keyCertSign,cRLSign";
  options.not_before = now - 30 * day;
  options.not_after = now + 30 * day;
  return options;
}

CertificateOptions ue_options(const std::string& impu) {
  CertificateOptions options;
  options.extended_key_usage = std::string(ue_eku_oid);
  options.san = "URI:" + impu;
  return options;
}

Authority Authority::root(const std::string& subject, Algorithm algorithm) {
  SigningKey key(algorithm);
  Certificate certificate = make(key.public_key(), ca_options(subject), key, nullptr);
  return {std::move(key), std::move(certificate)};
}

Certificate Authority::issue(const PublicKey& subject_key, const CertificateOptions& options) const {
  return make(subject_key, options, key, certificate.native());
}

Authority Authority::intermediate(const std::string& subject) const {
  SigningKey subject_key;
  Certificate issued = issue(subject_key.public_key(), ca_options(subject));
  return {std::move(subject_key), std::move(issued)};
}

std::string Authority::crl_pem(const std::vector<long>& revoked_serials) const {
  const ssl::X509Crl crl(X509_CRL_new());
  X509_CRL_set_version(crl.get(), X509_CRL_VERSION_2);
  X509_CRL_set_issuer_name(crl.get(), X509_get_subject_name(certificate.native()));
  const std::unique_ptr<ASN1_TIME, ssl::Free<ASN1_TIME_free>> from(ASN1_TIME_set(nullptr, now - day));
  const std::unique_ptr<ASN1_TIME, ssl::Free<ASN1_TIME_free>> to(ASN1_TIME_set(nullptr, now + day));
  X509_CRL_set1_lastUpdate(crl.get(), from.get());
  X509_CRL_set1_nextUpdate(crl.get(), to.get());
  for (const long serial : revoked_serials) {
    const ssl::Integer number(ASN1_INTEGER_new());
    ASN1_INTEGER_set(number.get(), serial);
    X509_REVOKED* entry = X509_REVOKED_new();
    X509_REVOKED_set_serialNumber(entry, number.get());
    X509_REVOKED_set_revocationDate(entry, from.get());
    X509_CRL_add0_revoked(crl.get(), entry);
  }
  require(X509_CRL_sign(crl.get(), key.native(), hash_of(key)) > 0, "X509_CRL_sign");
  const ssl::Bio bio(BIO_new(BIO_s_mem()));
  PEM_write_bio_X509_CRL(bio.get(), crl.get());
  return ssl::bio_text(bio.get());
}

std::string base64url(std::string_view text) {
  return base64url_encode(as_bytes(text));
}

std::string jws_of(std::string_view header, std::string_view payload, const SigningKey& key) {
  return key.sign_jws(base64url(header) + "." + base64url(payload));
}

std::string replaced(std::string text, std::string_view from, std::string_view to) {
  const std::size_t at = text.find(from);
  require(at != std::string::npos, "replaced(): not in the text");
  return text.replace(at, from.size(), to);
}

}  // namespace avseal::tokens::testing
