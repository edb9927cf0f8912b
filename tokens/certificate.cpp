#include "tokens/certificate.hpp"

#include <algorithm>
#include <ctime>

#include <openssl/pem.h>

#include "tokens/base64.hpp"
#include "tokens/openssl.hpp"
#include "tokens/tn_auth_list.hpp"

namespace avseal::tokens {
namespace {

constexpr std::size_t max_der_size = 16 * 1024;
constexpr std::size_t max_pem_size = 256 * 1024;
constexpr std::size_t max_chain = 8;

Error malformed(std::string detail) {
  return errors::make(Category::invalid, "certificate-malformed", std::move(detail));
}

Error unfit(std::string_view reason, std::string detail) {
  return errors::make(Category::invalid, reason, std::move(detail));
}

std::string name_text(const X509_NAME* name) {
  const ssl::Bio bio(BIO_new(BIO_s_mem()));
  X509_NAME_print_ex(bio.get(), name, 0, XN_FLAG_RFC2253);
  return ssl::bio_text(bio.get());
}

Result<UnixSeconds> to_seconds(const ASN1_TIME* time) {
  std::tm parts{};
  if (ASN1_TIME_to_tm(time, &parts) != 1) return malformed("expected a validity time, found one that cannot be read");
  return static_cast<UnixSeconds>(::timegm(&parts));
}

// Text of an IA5String; NUL bytes in names are an old attack.
Result<std::string> name_string(const ASN1_IA5STRING* value) {
  const auto* data = ASN1_STRING_get0_data(value);
  std::string text(data, data + ASN1_STRING_length(value));
  if (!std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 0x7F; })) {
    return malformed("expected a printable ASCII subject alternative name, found other characters");
  }
  return text;
}

struct SubjectAltNames {
  std::vector<std::string> uris;
  std::vector<std::string> dns;
};

Result<SubjectAltNames> read_alt_names(const X509* x509) {
  SubjectAltNames names;
  int critical = 0;
  const ssl::GeneralNames list(
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(x509, NID_subject_alt_name, &critical, nullptr)));
  if (!list) {
    if (critical == -1) return names;  // absent
    return malformed("expected one well-formed subject alternative name extension, found another or two");
  }
  for (int i = 0; i < sk_GENERAL_NAME_num(list.get()); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(list.get(), i);
    if (name->type == GEN_URI) {
      AVSEAL_TRY(auto text, name_string(name->d.uniformResourceIdentifier));
      names.uris.push_back(std::move(text));
    } else if (name->type == GEN_DNS) {
      AVSEAL_TRY(auto text, name_string(name->d.dNSName));
      std::transform(text.begin(), text.end(), text.begin(),
                     [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
      names.dns.push_back(std::move(text));
    }
  }
  return names;
}

Result<bool> read_ue_eku(const X509* x509) {
  int critical = 0;
  const ssl::ExtendedKeyUsage usages(
      static_cast<EXTENDED_KEY_USAGE*>(X509_get_ext_d2i(x509, NID_ext_key_usage, &critical, nullptr)));
  if (!usages) {
    if (critical == -1) return Result<bool>(boost::system::in_place_value, false);
    return malformed("expected one well-formed extended key usage extension, found another or two");
  }
  static const ssl::Object ue(OBJ_txt2obj(std::string(ue_eku_oid).c_str(), 1));
  bool found = false;
  for (int i = 0; i < sk_ASN1_OBJECT_num(usages.get()); ++i) {
    found = found || OBJ_cmp(sk_ASN1_OBJECT_value(usages.get(), i), ue.get()) == 0;
  }
  return Result<bool>(boost::system::in_place_value, found);
}

Result<std::vector<TnRange>> read_tn_auth_list(const X509* x509) {
  static const ssl::Object oid(OBJ_txt2obj("1.3.6.1.5.5.7.1.26", 1));
  const int at = X509_get_ext_by_OBJ(x509, oid.get(), -1);
  if (at < 0) return std::vector<TnRange>();
  if (X509_get_ext_by_OBJ(x509, oid.get(), at) >= 0) return malformed("expected one TNAuthList, found two");
  const ASN1_OCTET_STRING* value = X509_EXTENSION_get_data(X509_get_ext(x509, at));
  return parse_tn_auth_list({ASN1_STRING_get0_data(value), static_cast<std::size_t>(ASN1_STRING_length(value))});
}

}  // namespace

bool TnRange::contains(std::string_view tn) const {
  if (tn == start) return true;
  const auto number = [](std::string_view text) -> std::int64_t {
    if (text.empty() || text.size() > 15) return -1;
    std::int64_t value = 0;
    for (const char c : text) {
      if (c < '0' || c > '9') return -1;
      value = value * 10 + (c - '0');
    }
    return value;
  };
  const std::int64_t first = number(start);
  const std::int64_t asked = number(tn);
  return tn.size() == start.size() && first >= 0 && asked >= first && asked - first < count;
}

struct Certificate::Data {
  ssl::X509Ptr x509;
  Bytes der;
  PublicKey key;
  SubjectAltNames names;
  std::vector<TnRange> numbers;
  UnixSeconds not_before;
  UnixSeconds not_after;
  std::uint32_t flags;
  bool digital_signature;
  bool ue_eku;
};

Result<Certificate> Certificate::from_native(x509_st* certificate) {
  const ssl::ErrorMark mark;
  if (X509_up_ref(certificate) != 1) return malformed("expected a certificate, found none");
  ssl::X509Ptr x509(certificate);
  const std::uint32_t flags = X509_get_extension_flags(certificate);
  if ((flags & EXFLAG_INVALID) != 0 || X509_get_version(certificate) != X509_VERSION_3) {
    return malformed("expected an X.509 version 3 certificate with well-formed extensions, found another");
  }
  Bytes der = ssl::to_der<const X509>(i2d_X509, certificate);
  if (der.empty() || der.size() > max_der_size) return malformed("expected a certificate of at most 16 KiB");
  AVSEAL_TRY(auto key,
             PublicKey::from_spki(ssl::to_der<const X509_PUBKEY>(i2d_X509_PUBKEY, X509_get_X509_PUBKEY(certificate))));
  AVSEAL_TRY(auto names, read_alt_names(certificate));
  AVSEAL_TRY(const bool ue_eku, read_ue_eku(certificate));
  AVSEAL_TRY(auto numbers, read_tn_auth_list(certificate));
  AVSEAL_TRY(const auto not_before, to_seconds(X509_get0_notBefore(certificate)));
  AVSEAL_TRY(const auto not_after, to_seconds(X509_get0_notAfter(certificate)));
  const bool digital_signature =
      (flags & EXFLAG_KUSAGE) != 0 && (X509_get_key_usage(certificate) & KU_DIGITAL_SIGNATURE) != 0;
  return Certificate(
      std::make_shared<const Data>(Data{std::move(x509), std::move(der), std::move(key), std::move(names),
                                        std::move(numbers), not_before, not_after, flags, digital_signature, ue_eku}));
}

Result<Certificate> Certificate::from_der(ByteView der) {
  const ssl::ErrorMark mark;
  if (der.size() > max_der_size) return malformed("expected a certificate of at most 16 KiB, found a larger one");
  const unsigned char* at = der.data();
  const ssl::X509Ptr x509(d2i_X509(nullptr, &at, static_cast<long>(der.size())));
  if (!x509) return malformed("expected a DER certificate, found other bytes");
  if (at != der.data() + der.size()) return malformed("expected nothing after the certificate, found more bytes");
  AVSEAL_TRY(auto certificate, from_native(x509.get()));
  // Another encoding of the same content would have another fingerprint.
  if (!std::equal(der.begin(), der.end(), certificate.der().begin(), certificate.der().end())) {
    return malformed("expected DER, found another encoding (BER)");
  }
  return certificate;
}

Result<std::vector<Certificate>> Certificate::chain_from_pem(std::string_view pem) {
  const ssl::ErrorMark mark;
  if (pem.size() > max_pem_size) return malformed("expected at most 256 KiB of PEM, found more");
  const ssl::Bio bio = ssl::memory_bio(pem);
  std::vector<Certificate> chain;
  while (const ssl::X509Ptr x509{PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)}) {
    if (chain.size() == max_chain) return malformed("expected at most 8 certificates, found more");
    AVSEAL_TRY(auto certificate, from_der(ssl::to_der<const X509>(i2d_X509, x509.get())));
    chain.push_back(std::move(certificate));
  }
  if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE) {
    return malformed("expected PEM certificates, found a block that cannot be read");
  }
  if (chain.empty()) return malformed("expected a PEM certificate (BEGIN CERTIFICATE), found none");
  return chain;
}

Result<Certificate> Certificate::from_pem(std::string_view pem) {
  AVSEAL_TRY(auto chain, chain_from_pem(pem));
  return chain.front();
}

const Bytes& Certificate::der() const {
  return data_->der;
}

std::string Certificate::pem() const {
  const ssl::Bio bio(BIO_new(BIO_s_mem()));
  PEM_write_bio_X509(bio.get(), native());
  return ssl::bio_text(bio.get());
}

Fingerprint Certificate::fingerprint() const {
  return Fingerprint::sha256_of(data_->der);
}
std::string Certificate::sha256_hex() const {
  return hex_encode(fingerprint().bytes());
}
const PublicKey& Certificate::public_key() const {
  return data_->key;
}
const std::vector<std::string>& Certificate::san_uris() const {
  return data_->names.uris;
}
const std::vector<std::string>& Certificate::san_dns() const {
  return data_->names.dns;
}
const std::vector<TnRange>& Certificate::tn_auth_list() const {
  return data_->numbers;
}
std::string Certificate::subject() const {
  return name_text(X509_get_subject_name(native()));
}
std::string Certificate::issuer() const {
  return name_text(X509_get_issuer_name(native()));
}

std::string Certificate::serial_hex() const {
  const ASN1_INTEGER* serial = X509_get0_serialNumber(native());
  return hex_encode({ASN1_STRING_get0_data(serial), static_cast<std::size_t>(ASN1_STRING_length(serial))});
}

UnixSeconds Certificate::not_before() const {
  return data_->not_before;
}
UnixSeconds Certificate::not_after() const {
  return data_->not_after;
}
bool Certificate::is_ca() const {
  return (data_->flags & EXFLAG_CA) != 0;
}
bool Certificate::has_digital_signature() const {
  return data_->digital_signature;
}
bool Certificate::has_ue_eku() const {
  return data_->ue_eku;
}
x509_st* Certificate::native() const {
  return data_->x509.get();
}

Result<void> check_signer_usage(const Certificate& certificate) {
  if (certificate.is_ca()) return unfit("certificate-is-ca", "expected a signer's certificate, found a CA's");
  if (!certificate.has_digital_signature()) {
    return unfit("certificate-key-usage",
                 "expected key usage digitalSignature in the signer's certificate, found none");
  }
  if (certificate.has_ue_eku()) {
    return unfit("certificate-of-ue", "expected an operator's certificate, found a UE certificate");
  }
  return {};
}

}  // namespace avseal::tokens
