#include "pkcs11/certificates.hpp"

#include <openssl/x509.h>

#include "pkcs11/errors.hpp"

namespace avseal::pkcs11 {

namespace {

Bytes der_of(const X509_NAME* name) {
  unsigned char* der = nullptr;
  const int size = i2d_X509_NAME(name, &der);
  Bytes out(der, der + std::max(size, 0));
  OPENSSL_free(der);
  return out;
}

Bytes der_of(const ASN1_INTEGER* serial) {
  unsigned char* der = nullptr;
  const int size = i2d_ASN1_INTEGER(serial, &der);
  Bytes out(der, der + std::max(size, 0));
  OPENSSL_free(der);
  return out;
}

Result<std::vector<CK_OBJECT_HANDLE>> find_certificates(Session& session, ByteView id) {
  Template wanted;
  wanted.number(CKA_CLASS, CKO_CERTIFICATE).add(CKA_ID, id);
  return session.find(wanted);
}

}  // namespace

Result<void> store_certificate(Session& session, const tokens::Certificate& certificate, ByteView id,
                               std::string_view label) {
  AVSEAL_TRY(const std::vector<CK_OBJECT_HANDLE> earlier, find_certificates(session, id));
  const X509* native = certificate.native();
  Template object;
  object.number(CKA_CLASS, CKO_CERTIFICATE).number(CKA_CERTIFICATE_TYPE, CKC_X_509);
  object.flag(CKA_TOKEN, true).flag(CKA_PRIVATE, false).add(CKA_ID, id).add(CKA_LABEL, label);
  object.add(CKA_SUBJECT, der_of(X509_get_subject_name(native))).add(CKA_ISSUER, der_of(X509_get_issuer_name(native)));
  object.add(CKA_SERIAL_NUMBER, der_of(X509_get0_serialNumber(native))).add(CKA_VALUE, certificate.der());
  CK_OBJECT_HANDLE made = CK_INVALID_HANDLE;
  const std::span<CK_ATTRIBUTE> attributes = object.attributes();
  CK_RV rv = session.api().C_CreateObject(session.handle(), attributes.data(), attributes.size(), &made);
  if (rv != CKR_OK) return errors::call_failed("C_CreateObject", rv);
  for (const CK_OBJECT_HANDLE old : earlier) {
    rv = session.api().C_DestroyObject(session.handle(), old);
    if (rv != CKR_OK) return errors::call_failed("C_DestroyObject", rv);
  }
  return {};
}

Result<std::vector<tokens::Certificate>> stored_certificates(Session& session, ByteView id) {
  AVSEAL_TRY(const std::vector<CK_OBJECT_HANDLE> objects, find_certificates(session, id));
  std::vector<tokens::Certificate> certificates;
  for (const CK_OBJECT_HANDLE object : objects) {
    AVSEAL_TRY(const Bytes der, session.attribute(object, CKA_VALUE));
    AVSEAL_TRY(auto certificate, tokens::Certificate::from_der(der));
    certificates.push_back(std::move(certificate));
  }
  return certificates;
}

}  // namespace avseal::pkcs11
