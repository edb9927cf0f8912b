#include "attestation/ek_certificate.hpp"

#include <algorithm>
#include <array>

#include <openssl/core_names.h>
#include <openssl/rsa.h>

#include "attestation/directory_name.hpp"
#include "attestation/refused.hpp"
#include "tokens/base64.hpp"
#include "tokens/digest.hpp"
#include "tokens/openssl.hpp"

namespace avseal::attestation {

namespace {

namespace ssl = tokens::ssl;

constexpr const char* ek_usage = "2.23.133.8.1";  // tcg-kp-EKCertificate
constexpr int rsa_bits = 2048;

Error malformed(std::string detail) {
  return refused("ek-certificate-malformed", std::move(detail));
}

Error unsupported(std::string_view found) {
  return refused("ek-key-unsupported",
                 "expected an EK of RSA 2048 with exponent 65537, P-256 or P-384, found " + std::string(found));
}

Result<EndorsementKey> read_rsa(ssl::Pkey key) {
  BIGNUM* raw = nullptr;
  if (EVP_PKEY_get_bits(key.get()) != rsa_bits || EVP_PKEY_get_bn_param(key.get(), OSSL_PKEY_PARAM_RSA_E, &raw) != 1) {
    return unsupported("an RSA key of another size");
  }
  const ssl::BigNum exponent(raw);
  if (BN_is_word(exponent.get(), RSA_F4) != 1) return unsupported("another exponent");
  BIGNUM* raw_modulus = nullptr;
  if (EVP_PKEY_get_bn_param(key.get(), OSSL_PKEY_PARAM_RSA_N, &raw_modulus) != 1) return unsupported("no modulus");
  const ssl::BigNum modulus(raw_modulus);
  // No product of two large primes is even, and nothing can be encrypted to such a key.
  if (BN_is_odd(modulus.get()) != 1) return unsupported("an even modulus");
  return EndorsementKey{EkType::rsa2048, std::shared_ptr<EVP_PKEY>(key.release(), EVP_PKEY_free)};
}

Result<EndorsementKey> read_ecc(ssl::Pkey key, const X509* certificate) {
  std::array<char, 32> group{};
  std::size_t size = 0;
  if (EVP_PKEY_get_utf8_string_param(key.get(), OSSL_PKEY_PARAM_GROUP_NAME, group.data(), group.size(), &size) != 1) {
    return unsupported("a curve without name");
  }
  const std::string_view name(group.data(), size);
  const bool small = name == "prime256v1" || name == "P-256";
  if (!small && name != "secp384r1" && name != "P-384") return unsupported("the curve " + std::string(name));
  // One key has one encoding, else it would be two devices.
  const ASN1_BIT_STRING* point = X509_get0_pubkey_bitstr(certificate);
  if (ASN1_STRING_length(point) == 0 || ASN1_STRING_get0_data(point)[0] != 0x04)
    return unsupported("a compressed point");
  return EndorsementKey{small ? EkType::p256 : EkType::p384, std::shared_ptr<EVP_PKEY>(key.release(), EVP_PKEY_free)};
}

Result<EndorsementKey> read_key(const X509* certificate) {
  ssl::Pkey key(X509_get_pubkey(const_cast<X509*>(certificate)));
  if (!key) return unsupported("a key that cannot be read");
  if (EVP_PKEY_is_a(key.get(), "RSA") == 1) return read_rsa(std::move(key));
  if (EVP_PKEY_is_a(key.get(), "EC") == 1) return read_ecc(std::move(key), certificate);
  return unsupported("a key of another kind");
}

// X509_verify_cert asks for none of these (TCG EK Credential Profile 2.3, 3.2).
Result<void> check_usage(X509* certificate, EkType type) {
  const std::uint32_t flags = X509_get_extension_flags(certificate);
  if ((flags & EXFLAG_CA) != 0) return refused("ek-certificate-is-ca", "expected no CA certificate, found one");
  const std::uint32_t usage = (flags & EXFLAG_KUSAGE) != 0 ? X509_get_key_usage(certificate) : 0;
  const std::uint32_t wanted = type == EkType::rsa2048 ? KU_KEY_ENCIPHERMENT : KU_KEY_AGREEMENT;
  if ((usage & wanted) == 0 || (usage & (KU_KEY_CERT_SIGN | KU_CRL_SIGN)) != 0) {
    return refused("ek-certificate-key-usage", std::string("expected key usage ") +
                                                   (type == EkType::rsa2048 ? "keyEncipherment" : "keyAgreement") +
                                                   ", found another");
  }
  if (!has_extended_usage(certificate, ek_usage)) {
    return refused("ek-certificate-eku",
                   std::string("expected extended key usage ") + ek_usage + " (EK certificate), found none such");
  }
  return {};
}

// "id:" and eight hex digits, which the TCG writes in upper case and some vendors do not.
Result<std::string> canonical_vendor(std::string text) {
  if (text.size() != 11 || !text.starts_with("id:") || !tokens::hex_decode(std::string_view(text).substr(3))) {
    return refused("ek-certificate-san", "expected a TPM manufacturer like id:53544D20, found another");
  }
  std::transform(text.begin() + 3, text.end(), text.begin() + 3,
                 [](char c) { return c >= 'a' ? static_cast<char>(c - 'a' + 'A') : c; });
  return text;
}

Result<TpmIdentity> read_tpm(const X509* certificate) {
  const auto names = DirectoryName::of_alternative_name(certificate);
  if (!names) return refused("ek-certificate-san", names.error().detail);
  TpmIdentity tpm;
  struct Wanted {
    const char* oid;
    const char* what;
    std::string* value;
  };
  for (const Wanted& wanted :
       {Wanted{"2.23.133.2.1", "tpmManufacturer", &tpm.vendor}, Wanted{"2.23.133.2.2", "tpmModel", &tpm.model},
        Wanted{"2.23.133.2.3", "tpmVersion", &tpm.version}}) {
    auto value = names->only(wanted.oid);
    if (!value) {
      return refused("ek-certificate-san",
                     std::string("the subject alternative name has not exactly one ") + wanted.what);
    }
    *wanted.value = std::move(*value);
  }
  AVSEAL_TRY(tpm.vendor, canonical_vendor(std::move(tpm.vendor)));
  return tpm;
}

}  // namespace

struct EkCertificate::Data {
  ssl::X509Ptr x509;
  Bytes der;
  std::string device_id;
  EndorsementKey key;
  TpmIdentity tpm;
};

Result<EkCertificate> EkCertificate::read(ByteView der) {
  const ssl::ErrorMark mark;
  if (der.size() > ek_certificate_max_size) return malformed("expected at most 8 KiB, found more");
  const unsigned char* at = der.data();
  ssl::X509Ptr x509(d2i_X509(nullptr, &at, static_cast<long>(der.size())));
  if (!x509) return malformed("expected a DER certificate, found other bytes");
  if (at != der.data() + der.size()) {
    return malformed("expected nothing behind the certificate, found more bytes: cut off the padding of the NV index");
  }
  const std::uint32_t flags = X509_get_extension_flags(x509.get());
  if ((flags & EXFLAG_INVALID) != 0 || X509_get_version(x509.get()) != X509_VERSION_3) {
    return malformed("expected an X.509 version 3 certificate with well-formed extensions, found another");
  }
  AVSEAL_TRY(EndorsementKey key, read_key(x509.get()));
  AVSEAL_CHECK(check_usage(x509.get(), key.type));
  AVSEAL_TRY(TpmIdentity tpm, read_tpm(x509.get()));
  const Bytes spki = ssl::to_der<const X509_PUBKEY>(i2d_X509_PUBKEY, X509_get_X509_PUBKEY(x509.get()));
  return EkCertificate(
      std::make_shared<const Data>(Data{std::move(x509), Bytes(der.begin(), der.end()),
                                        tokens::hex_encode(tokens::sha256(spki)), std::move(key), std::move(tpm)}));
}

const std::string& EkCertificate::device_id() const {
  return data_->device_id;
}
const EndorsementKey& EkCertificate::key() const {
  return data_->key;
}
const TpmIdentity& EkCertificate::tpm() const {
  return data_->tpm;
}
const Bytes& EkCertificate::der() const {
  return data_->der;
}
x509_st* EkCertificate::native() const {
  return data_->x509.get();
}

}  // namespace avseal::attestation
