#include "tokens/certificate_request.hpp"

#include <openssl/pem.h>

#include "tokens/der.hpp"
#include "tokens/openssl.hpp"

namespace avseal::tokens {
namespace {

constexpr std::size_t max_der_size = 16 * 1024;
constexpr std::size_t max_pem_size = 64 * 1024;

Error malformed(std::string detail) {
  return errors::make(Category::bad_request, "certificate-request-malformed", std::move(detail));
}

Error unbuildable(std::string detail) {
  return errors::make(Category::invalid, "certificate-request-invalid", std::move(detail));
}

Result<std::vector<std::string>> read_san_uris(X509_REQ* request) {
  std::vector<std::string> uris;
  const ssl::Extensions extensions(X509_REQ_get_extensions(request));
  if (!extensions) return uris;
  int critical = 0;
  const ssl::GeneralNames names(
      static_cast<GENERAL_NAMES*>(X509V3_get_d2i(extensions.get(), NID_subject_alt_name, &critical, nullptr)));
  if (!names) {
    if (critical == -1) return uris;  // absent
    return malformed("expected one well-formed subject alternative name extension, found another or two");
  }
  for (int i = 0; i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names.get(), i);
    if (name->type != GEN_URI) continue;
    const auto* data = ASN1_STRING_get0_data(name->d.uniformResourceIdentifier);
    std::string uri(data, data + ASN1_STRING_length(name->d.uniformResourceIdentifier));
    if (uri.find('\0') != std::string::npos) return malformed("expected a URI, found one with a NUL byte");
    uris.push_back(std::move(uri));
  }
  return uris;
}

// An extension from OpenSSL's textual form would need escaping; the structure does not.
bool add_san_uris(X509_REQ* request, const std::vector<std::string>& san_uris) {
  const ssl::GeneralNames names(GENERAL_NAMES_new());
  for (const std::string& uri : san_uris) {
    GENERAL_NAME* name = GENERAL_NAME_new();
    ASN1_IA5STRING* text = ASN1_IA5STRING_new();
    if (name == nullptr || text == nullptr) return false;
    ASN1_STRING_set(text, uri.data(), static_cast<int>(uri.size()));
    GENERAL_NAME_set0_value(name, GEN_URI, text);
    sk_GENERAL_NAME_push(names.get(), name);
  }
  STACK_OF(X509_EXTENSION)* extensions = nullptr;
  const bool done = X509V3_add1_i2d(&extensions, NID_subject_alt_name, names.get(), 0, X509V3_ADD_DEFAULT) == 1 &&
                    X509_REQ_add_extensions(request, extensions) == 1;
  const ssl::Extensions owner(extensions);
  return done;
}

}  // namespace

Result<CertificateRequest> CertificateRequest::from_der(ByteView der) {
  const ssl::ErrorMark mark;
  if (der.size() > max_der_size) return malformed("expected a request of at most 16 KiB, found a larger one");
  const unsigned char* at = der.data();
  const ssl::X509Request request(d2i_X509_REQ(nullptr, &at, static_cast<long>(der.size())));
  if (!request || at != der.data() + der.size())
    return malformed("expected one DER PKCS#10 request, found other bytes");
  AVSEAL_TRY(auto key, PublicKey::from_spki(
                           ssl::to_der<const X509_PUBKEY>(i2d_X509_PUBKEY, X509_REQ_get_X509_PUBKEY(request.get()))));
  if (X509_REQ_verify(request.get(), key.native()) != 1) {
    return errors::make(Category::invalid, "signature-invalid",
                        "expected a request signed with its own key (proof of possession), found another signature");
  }
  AVSEAL_TRY(auto uris, read_san_uris(request.get()));
  return CertificateRequest{Bytes(der.begin(), der.end()), std::move(key), std::move(uris)};
}

Result<CertificateRequest> CertificateRequest::from_pem(std::string_view pem) {
  const ssl::ErrorMark mark;
  if (pem.size() > max_pem_size) return malformed("expected at most 64 KiB of PEM, found more");
  const ssl::Bio bio = ssl::memory_bio(pem);
  const ssl::X509Request request(PEM_read_bio_X509_REQ(bio.get(), nullptr, nullptr, nullptr));
  if (!request) return malformed("expected a PEM request (BEGIN CERTIFICATE REQUEST), found none");
  return from_der(ssl::to_der<const X509_REQ>(i2d_X509_REQ, request.get()));
}

Result<Bytes> build_request_info(const PublicKey& key, std::string_view subject_cn,
                                 const std::vector<std::string>& san_uris) {
  const ssl::ErrorMark mark;
  const ssl::X509Request request(X509_REQ_new());
  const ssl::Name subject(X509_NAME_new());
  const auto* common_name = reinterpret_cast<const unsigned char*>(subject_cn.data());
  if (!request || !subject || subject_cn.empty() ||
      X509_NAME_add_entry_by_NID(subject.get(), NID_commonName, MBSTRING_UTF8, common_name,
                                 static_cast<int>(subject_cn.size()), -1, 0) != 1 ||
      X509_REQ_set_subject_name(request.get(), subject.get()) != 1) {
    return unbuildable("expected a subject of 1 to 64 UTF-8 characters, found another");
  }
  if (X509_REQ_set_pubkey(request.get(), key.native()) != 1) return unbuildable("the public key cannot be encoded");
  if (!san_uris.empty() && !add_san_uris(request.get(), san_uris)) return unbuildable("the URIs cannot be encoded");
  Bytes info = ssl::to_der<X509_REQ>(i2d_re_X509_REQ_tbs, request.get());
  if (info.empty()) return unbuildable("the request cannot be encoded");
  return info;
}

Result<Bytes> assemble_request(ByteView request_info, const PublicKey& key, ByteView raw_signature) {
  AVSEAL_TRY(auto der, der::signed_object(request_info, key.algorithm(), raw_signature));
  AVSEAL_TRY(const auto request, CertificateRequest::from_der(der));
  if (!(request.key == key)) return unbuildable("expected the request to have the key that signed it, found another");
  return der;
}

std::string request_pem(ByteView der) {
  const ssl::Bio bio(BIO_new(BIO_s_mem()));
  PEM_write_bio(bio.get(), PEM_STRING_X509_REQ, "", der.data(), static_cast<long>(der.size()));
  return ssl::bio_text(bio.get());
}

}  // namespace avseal::tokens
