// UE certificates: what enrollment builds and what the HSM worker agrees to sign are decided here, side by side.
#include <algorithm>
#include <array>
#include <set>

#include "tokens/certificate_request.hpp"
#include "tokens/der.hpp"
#include "tokens/openssl.hpp"

namespace avseal::tokens {
namespace {

constexpr std::size_t max_tbs_size = 8 * 1024;
constexpr int min_serial_bits = 64;
constexpr std::size_t max_serial_size = 20;  // RFC 5280 section 4.1.2.2
constexpr std::size_t min_distinct_serial_bytes = 5;

Error unbuildable(std::string detail) {
  return errors::make(Category::invalid, "ue-certificate-invalid", std::move(detail));
}

Error refused(std::string detail) {
  return errors::make(Category::forbidden, "tbs-refused",
                      "expected a UE certificate of this issuer, found " + std::move(detail));
}

int signature_nid(const PublicKey& key) {
  return key.algorithm() == Algorithm::es256 ? NID_ecdsa_with_SHA256 : NID_ecdsa_with_SHA384;
}

bool is_random_serial(const ASN1_INTEGER* serial) {
  const ssl::BigNum number(ASN1_INTEGER_to_BN(serial, nullptr));
  if (!number || BN_is_negative(number.get()) == 1 || BN_num_bits(number.get()) < min_serial_bits) return false;
  const auto* data = ASN1_STRING_get0_data(serial);
  const auto size = static_cast<std::size_t>(ASN1_STRING_length(serial));
  return size <= max_serial_size && std::set<std::uint8_t>(data, data + size).size() >= min_distinct_serial_bytes;
}

bool set_time(ASN1_TIME* time, UnixSeconds seconds) {
  return ASN1_TIME_adj(time, static_cast<std::time_t>(seconds), 0, 0) != nullptr;
}

bool add_extension(X509* x509, int nid, void* value, bool critical) {
  return X509_add1_ext_i2d(x509, nid, value, critical ? 1 : 0, X509V3_ADD_DEFAULT) == 1;
}

// Key usage and the like from OpenSSL's textual form: constants of ours only.
bool add_extension(X509* x509, X509V3_CTX* context, int nid, const char* value) {
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, context, nid, value);
  const bool added = extension != nullptr && X509_add_ext(x509, extension, -1) == 1;
  X509_EXTENSION_free(extension);
  return added;
}

bool add_extensions(X509* x509, X509* issuer, const Impu& impu) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, x509, nullptr, nullptr, 0);
  const ssl::GeneralNames names(GENERAL_NAMES_new());
  GENERAL_NAME* name = GENERAL_NAME_new();
  ASN1_IA5STRING* uri = ASN1_IA5STRING_new();
  const std::string& text = impu.canonical();
  ASN1_STRING_set(uri, text.data(), static_cast<int>(text.size()));
  GENERAL_NAME_set0_value(name, GEN_URI, uri);
  sk_GENERAL_NAME_push(names.get(), name);
  return add_extension(x509, &context, NID_basic_constraints, "critical,CA:FALSE") &&
         add_extension(x509, &context, NID_key_usage, "critical,digitalSignature") &&
         add_extension(x509, &context, NID_ext_key_usage, std::string(ue_eku_oid).c_str()) &&
         add_extension(x509, NID_subject_alt_name, names.get(), true) &&
         add_extension(x509, &context, NID_subject_key_identifier, "hash") &&
         add_extension(x509, &context, NID_authority_key_identifier, "keyid");
}

// The TBSCertificate names its signature algorithm; OpenSSL sets it only when it signs itself.
bool set_signature_algorithm(X509* x509, int nid) {
  auto* algorithm = const_cast<X509_ALGOR*>(X509_get0_tbs_sigalg(x509));
  return X509_ALGOR_set0(algorithm, OBJ_nid2obj(nid), V_ASN1_UNDEF, nullptr) == 1;
}

Result<void> check_extensions(X509* x509) {
  struct Expected {
    int nid;
    bool critical;
  };
  // A subject alternative name is critical because the subject is empty (RFC 5280 section 4.2.1.6).
  static constexpr std::array<Expected, 6> all{{{NID_basic_constraints, true},
                                                {NID_key_usage, true},
                                                {NID_ext_key_usage, false},
                                                {NID_subject_alt_name, true},
                                                {NID_subject_key_identifier, false},
                                                {NID_authority_key_identifier, false}}};
  if (X509_get_ext_count(x509) != static_cast<int>(all.size())) return refused("another number of extensions than six");
  for (const Expected& expected : all) {
    const int at = X509_get_ext_by_NID(x509, expected.nid, -1);
    if (at < 0) return refused(std::string("no extension ") + OBJ_nid2sn(expected.nid));
    const bool critical = X509_EXTENSION_get_critical(X509_get_ext(x509, at)) == 1;
    if (critical != expected.critical)
      return refused(std::string("another criticality of ") + OBJ_nid2sn(expected.nid));
  }
  return {};
}

// What the extensions say.
Result<void> check_usage(X509* x509, X509* issuer) {
  if ((X509_get_extension_flags(x509) & (EXFLAG_INVALID | EXFLAG_CA)) != 0 || X509_get_pathlen(x509) != -1) {
    return refused("a CA certificate or malformed extensions");
  }
  if (X509_get_key_usage(x509) != KU_DIGITAL_SIGNATURE) return refused("another key usage than digitalSignature");
  const ssl::ExtendedKeyUsage usages(
      static_cast<EXTENDED_KEY_USAGE*>(X509_get_ext_d2i(x509, NID_ext_key_usage, nullptr, nullptr)));
  const ssl::Object ue(OBJ_txt2obj(std::string(ue_eku_oid).c_str(), 1));
  if (!usages || sk_ASN1_OBJECT_num(usages.get()) != 1 ||
      OBJ_cmp(sk_ASN1_OBJECT_value(usages.get(), 0), ue.get()) != 0) {
    return refused("another extended key usage than that of UEs");
  }
  const ASN1_OCTET_STRING* authority = X509_get0_authority_key_id(x509);
  const ASN1_OCTET_STRING* issuer_id = X509_get0_subject_key_id(issuer);
  if (authority == nullptr || issuer_id == nullptr || ASN1_OCTET_STRING_cmp(authority, issuer_id) != 0 ||
      X509_get0_authority_issuer(x509) != nullptr || X509_get0_authority_serial(x509) != nullptr) {
    return refused("another authority key identifier than the issuer's");
  }
  return {};
}

Result<void> check_names(X509* x509, X509* issuer) {
  if (ssl::to_der<const X509_NAME>(i2d_X509_NAME, X509_get_issuer_name(x509)) !=
      ssl::to_der<const X509_NAME>(i2d_X509_NAME, X509_get_subject_name(issuer))) {
    return refused("another issuer name");
  }
  if (X509_NAME_entry_count(X509_get_subject_name(x509)) != 0) return refused("a subject; the URI alone names the UE");
  const ssl::GeneralNames names(
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(x509, NID_subject_alt_name, nullptr, nullptr)));
  if (!names || sk_GENERAL_NAME_num(names.get()) != 1 || sk_GENERAL_NAME_value(names.get(), 0)->type != GEN_URI) {
    return refused("another subject alternative name than exactly one URI");
  }
  const ASN1_IA5STRING* uri = sk_GENERAL_NAME_value(names.get(), 0)->d.uniformResourceIdentifier;
  const auto* data = ASN1_STRING_get0_data(uri);
  const std::string text(data, data + ASN1_STRING_length(uri));
  const auto impu = Impu::parse(text);
  if (!impu || impu->canonical() != text) return refused("a URI that is no canonical IMPU");
  return {};
}

Result<void> check_validity(const Certificate& certificate, const Certificate& issuer, std::int64_t max_seconds) {
  const UnixSeconds from = certificate.not_before();
  const UnixSeconds to = certificate.not_after();
  if (to <= from || to - from > max_seconds) return refused("a validity of another length than 1 second to the limit");
  if (from < issuer.not_before() || to > issuer.not_after()) return refused("a validity outside the issuer's");
  return {};
}

}  // namespace

Result<Bytes> build_ue_tbs(const UeCertificateFields& fields, const Certificate& issuer) {
  const ssl::ErrorMark mark;
  if (fields.key.algorithm() != Algorithm::es256) return unbuildable("expected a P-256 key, found another");
  if (fields.serial.empty() || fields.serial.size() > max_serial_size || (fields.serial.front() & 0x80U) != 0) {
    return unbuildable("expected a serial of at most 20 bytes with its most significant bit clear");
  }
  const ssl::X509Ptr x509(X509_new());
  const ssl::BigNum number(BN_bin2bn(fields.serial.data(), static_cast<int>(fields.serial.size()), nullptr));
  if (!x509 || !number || BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(x509.get())) == nullptr ||
      !is_random_serial(X509_get0_serialNumber(x509.get()))) {
    return unbuildable("expected a serial of at least 64 random bits; take 16 random bytes");
  }
  const bool done = X509_set_version(x509.get(), X509_VERSION_3) == 1 &&
                    set_signature_algorithm(x509.get(), signature_nid(issuer.public_key())) &&
                    X509_set_issuer_name(x509.get(), X509_get_subject_name(issuer.native())) == 1 &&
                    set_time(X509_getm_notBefore(x509.get()), fields.not_before) &&
                    set_time(X509_getm_notAfter(x509.get()), fields.not_after) &&
                    X509_set_pubkey(x509.get(), fields.key.native()) == 1 &&
                    add_extensions(x509.get(), issuer.native(), fields.impu);
  Bytes tbs = done ? ssl::to_der<X509>(i2d_re_X509_tbs, x509.get()) : Bytes();
  if (tbs.empty()) {
    return unbuildable("the certificate cannot be encoded; expected an issuer with a subject key identifier");
  }
  return tbs;
}

Result<Certificate> assemble_certificate(ByteView tbs, const Certificate& issuer, ByteView raw_signature) {
  AVSEAL_CHECK(issuer.public_key().verify(tbs, raw_signature));
  AVSEAL_TRY(const auto der, der::signed_object(tbs, issuer.public_key().algorithm(), raw_signature));
  return Certificate::from_der(der);
}

Result<void> check_ue_tbs(ByteView tbs, const Certificate& issuer, std::int64_t max_validity_seconds) {
  const ssl::ErrorMark mark;
  if (tbs.size() > max_tbs_size) return refused("more than 8 KiB");
  // OpenSSL reads whole certificates: with any signature around it, the TBSCertificate is one.
  const Bytes any_signature(issuer.public_key().signature_size(), 1);
  AVSEAL_TRY(const auto der, der::signed_object(tbs, issuer.public_key().algorithm(), any_signature));
  const auto certificate = Certificate::from_der(der);
  if (!certificate) return refused("no certificate: " + certificate.error().detail);
  X509* x509 = certificate->native();

  if (certificate->public_key().algorithm() != Algorithm::es256) return refused("another key than P-256");
  const ASN1_OBJECT* algorithm = nullptr;
  int parameter_type = 0;
  X509_ALGOR_get0(&algorithm, &parameter_type, nullptr, X509_get0_tbs_sigalg(x509));
  if (OBJ_obj2nid(algorithm) != signature_nid(issuer.public_key()) || parameter_type != V_ASN1_UNDEF) {
    return refused("another signature algorithm than the issuer's");
  }
  if (!is_random_serial(X509_get0_serialNumber(x509))) return refused("a serial without 64 random bits");
  const ASN1_BIT_STRING* issuer_uid = nullptr;
  const ASN1_BIT_STRING* subject_uid = nullptr;
  X509_get0_uids(x509, &issuer_uid, &subject_uid);
  if (issuer_uid != nullptr || subject_uid != nullptr) return refused("unique identifiers");
  AVSEAL_CHECK(check_names(x509, issuer.native()));
  AVSEAL_CHECK(check_validity(*certificate, issuer, max_validity_seconds));
  AVSEAL_CHECK(check_extensions(x509));
  AVSEAL_CHECK(check_usage(x509, issuer.native()));
  // Last, for it changes the structure: another encoding than DER could be read differently elsewhere.
  const Bytes again = ssl::to_der<X509>(i2d_re_X509_tbs, x509);
  if (!std::equal(tbs.begin(), tbs.end(), again.begin(), again.end())) return refused("another encoding than DER");
  return {};
}

}  // namespace avseal::tokens
