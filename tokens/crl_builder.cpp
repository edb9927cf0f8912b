#include "tokens/crl.hpp"
#include "tokens/der.hpp"
#include "tokens/openssl.hpp"

namespace avseal::tokens {
namespace {

Error invalid(std::string detail) {
  return errors::make(Category::internal, "crl-invalid", std::move(detail));
}

using Time = std::unique_ptr<ASN1_TIME, ssl::Free<ASN1_TIME_free>>;
using Entry = std::unique_ptr<X509_REVOKED, ssl::Free<X509_REVOKED_free>>;
using Reason = std::unique_ptr<ASN1_ENUMERATED, ssl::Free<ASN1_ENUMERATED_free>>;

Time time_of(UnixSeconds seconds) {
  return Time(ASN1_TIME_adj(nullptr, static_cast<std::time_t>(seconds), 0, 0));
}

bool add_entry(X509_CRL* crl, const CrlEntry& entry) {
  Entry revoked(X509_REVOKED_new());
  const ssl::BigNum number(BN_bin2bn(entry.serial.data(), static_cast<int>(entry.serial.size()), nullptr));
  const ssl::Integer serial(BN_to_ASN1_INTEGER(number.get(), nullptr));
  const Time date = time_of(entry.revoked_at);
  bool done = revoked && serial && date && X509_REVOKED_set_serialNumber(revoked.get(), serial.get()) == 1 &&
              X509_REVOKED_set_revocationDate(revoked.get(), date.get()) == 1;
  if (done && entry.reason != CrlReason::unspecified) {
    const Reason reason(ASN1_ENUMERATED_new());
    done = reason && ASN1_ENUMERATED_set(reason.get(), static_cast<long>(entry.reason)) == 1 &&
           X509_REVOKED_add1_ext_i2d(revoked.get(), NID_crl_reason, reason.get(), 0, X509V3_ADD_DEFAULT) == 1;
  }
  if (!done || X509_CRL_add0_revoked(crl, revoked.get()) != 1) return false;
  static_cast<void>(revoked.release());
  return true;
}

bool add_extensions(X509_CRL* crl, X509* issuer, std::uint64_t number) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, nullptr, nullptr, crl, 0);
  X509_EXTENSION* authority = X509V3_EXT_conf_nid(nullptr, &context, NID_authority_key_identifier, "keyid:always");
  bool done = authority != nullptr && X509_CRL_add_ext(crl, authority, -1) == 1;
  X509_EXTENSION_free(authority);
  const ssl::Integer value(ASN1_INTEGER_new());
  done = done && value && ASN1_INTEGER_set_uint64(value.get(), number) == 1;
  return done && X509_CRL_add1_ext_i2d(crl, NID_crl_number, value.get(), 0, X509V3_ADD_DEFAULT) == 1;
}

// OpenSSL encodes a list only as signed, and lets the algorithm be set only by signing; the signature is made by any
// key and thrown away.
Result<Bytes> tbs_of(X509_CRL* crl, Algorithm algorithm) {
  const bool small = algorithm == Algorithm::es256;
  const ssl::Pkey any(EVP_EC_gen(small ? "P-256" : "P-384"));
  if (!any || X509_CRL_sign(crl, any.get(), small ? EVP_sha256() : EVP_sha384()) <= 0) return invalid("not encodable");
  Bytes tbs = ssl::to_der<X509_CRL>(i2d_re_X509_CRL_tbs, crl);
  if (tbs.empty()) return invalid("not encodable");
  return tbs;
}

}  // namespace

Result<Bytes> build_crl_tbs(const CrlFields& fields, const Certificate& issuer) {
  const ssl::ErrorMark mark;
  const ssl::X509Crl crl(X509_CRL_new());
  const Time from = time_of(fields.this_update);
  const Time to = time_of(fields.next_update);
  bool done = crl && from && to && X509_CRL_set_version(crl.get(), X509_CRL_VERSION_2) == 1 &&
              X509_CRL_set_issuer_name(crl.get(), X509_get_subject_name(issuer.native())) == 1 &&
              X509_CRL_set1_lastUpdate(crl.get(), from.get()) == 1 &&
              X509_CRL_set1_nextUpdate(crl.get(), to.get()) == 1;
  for (const auto& entry : fields.entries) done = done && add_entry(crl.get(), entry);
  done = done && add_extensions(crl.get(), issuer.native(), fields.number);
  if (!done) return invalid("expected an issuer with a subject key identifier, serials and times that can be encoded");
  AVSEAL_TRY(auto tbs, tbs_of(crl.get(), issuer.public_key().algorithm()));
  if (tbs.size() > max_crl_tbs_size) {
    return errors::make(
        Category::unavailable, "crl-too-large",
        std::to_string(fields.entries.size()) +
            " revoked certificates make a CRL of more than 120 KiB, which the HSM worker does not sign; "
            "shorten the certificates' lifetime");
  }
  return tbs;
}

Result<Bytes> assemble_crl(ByteView tbs, const Certificate& issuer, ByteView raw_signature) {
  AVSEAL_CHECK(issuer.public_key().verify(tbs, raw_signature));
  return der::signed_object(tbs, issuer.public_key().algorithm(), raw_signature);
}

}  // namespace avseal::tokens
