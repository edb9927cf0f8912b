// TBSCertLists for tests, made by OpenSSL.
#pragma once

#include <functional>

#include "tokens/crl.hpp"
#include "tokens/openssl.hpp"

namespace avseal::tokens::testing {

struct CrlFields {
  UnixSeconds this_update = 0;
  UnixSeconds next_update = 0;
  Bytes number;
  std::vector<Bytes> serials;
};

inline ssl::Integer integer(ByteView bytes) {
  const ssl::BigNum number(BN_bin2bn(bytes.data(), static_cast<int>(bytes.size()), nullptr));
  return ssl::Integer(BN_to_ASN1_INTEGER(number.get(), nullptr));
}

inline void add_entry(X509_CRL* crl, ByteView serial, UnixSeconds date,
                      const std::function<void(X509_REVOKED*)>& change = {}) {
  X509_REVOKED* entry = X509_REVOKED_new();
  X509_REVOKED_set_serialNumber(entry, integer(serial).get());
  ASN1_TIME* time = ASN1_TIME_set(nullptr, date);
  X509_REVOKED_set_revocationDate(entry, time);
  ASN1_TIME_free(time);
  if (change) change(entry);
  X509_CRL_add0_revoked(crl, entry);
}

inline void set_times(X509_CRL* crl, UnixSeconds this_update, UnixSeconds next_update) {
  ASN1_TIME* time = ASN1_TIME_set(nullptr, this_update);
  X509_CRL_set1_lastUpdate(crl, time);
  ASN1_TIME_set(time, next_update);
  X509_CRL_set1_nextUpdate(crl, time);
  ASN1_TIME_free(time);
}

// What `change` made of a good list. OpenSSL sets the algorithm when it signs: that signature, by any key, is dropped.
inline Bytes make_crl_tbs(const Certificate& issuer, const CrlFields& fields,
                          const std::function<void(X509_CRL*)>& change = {}) {
  const ssl::X509Crl crl(X509_CRL_new());
  X509_CRL_set_version(crl.get(), X509_CRL_VERSION_2);
  X509_CRL_set_issuer_name(crl.get(), X509_get_subject_name(issuer.native()));
  set_times(crl.get(), fields.this_update, fields.next_update);
  for (const Bytes& serial : fields.serials) add_entry(crl.get(), serial, fields.this_update);
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer.native(), nullptr, nullptr, crl.get(), 0);
  X509_EXTENSION* authority = X509V3_EXT_conf_nid(nullptr, &context, NID_authority_key_identifier, "keyid:always");
  X509_CRL_add_ext(crl.get(), authority, -1);
  X509_EXTENSION_free(authority);
  X509_CRL_add1_ext_i2d(crl.get(), NID_crl_number, integer(fields.number).get(), 0, X509V3_ADD_DEFAULT);
  if (change) change(crl.get());
  const bool small = issuer.public_key().algorithm() == Algorithm::es256;
  const ssl::Pkey any(EVP_EC_gen(small ? "P-256" : "P-384"));
  X509_CRL_sign(crl.get(), any.get(), small ? EVP_sha256() : EVP_sha384());
  return ssl::to_der<X509_CRL>(i2d_re_X509_CRL_tbs, crl.get());
}

}  // namespace avseal::tokens::testing
