#include "attestation/platform_certificate.hpp"

#include "attestation/attribute_certificate.hpp"
#include "attestation/directory_name.hpp"
#include "attestation/refused.hpp"
#include "tokens/openssl.hpp"

namespace avseal::attestation {

namespace {

namespace ssl = tokens::ssl;

constexpr const char* platform_usage = "2.23.133.8.2";  // tcg-kp-PlatformAttributeCertificate
constexpr std::size_t max_size = 8 * 1024;

Result<ssl::X509Ptr> read_certificate(ByteView der) {
  const unsigned char* at = der.data();
  ssl::X509Ptr x509(der.size() <= max_size ? d2i_X509(nullptr, &at, static_cast<long>(der.size())) : nullptr);
  if (!x509 || at != der.data() + der.size() || X509_get_version(x509.get()) != X509_VERSION_3 ||
      (X509_get_extension_flags(x509.get()) & EXFLAG_INVALID) != 0) {
    return refused("platform-certificate-malformed",
                   "expected one DER certificate, X.509 version 3, of at most 8 KiB, found other bytes");
  }
  return x509;
}

Result<PlatformIdentity> read_platform(const DirectoryName& names) {
  const auto manufacturer = names.only("2.23.133.5.1.1");
  const auto model = names.only("2.23.133.5.1.4");
  const auto version = names.only("2.23.133.5.1.5");
  if (!manufacturer || !model || !version) {
    return refused("platform-certificate-san",
                   "the subject alternative name has not exactly one platform manufacturer, model and version");
  }
  return PlatformIdentity{*manufacturer, *model, *version, names.only("2.23.133.5.1.6").value_or("")};
}

// What both forms are verified with.
struct With {
  const EkCertificate& ek;
  std::span<const Bytes> chain;
  const Anchors& anchors;
  ChainOptions options;
  UnixSeconds now;
};

Result<PlatformIdentity> verify_attribute_certificate(ByteView der, const With& with) {
  AVSEAL_TRY(const AttributeCertificate certificate, AttributeCertificate::read(der));
  if (!certificate.is_about(with.ek.native())) {
    return refused("platform-certificate-holder",
                   "expected the EK certificate as the holder, found another TPM's issuer and serial");
  }
  AVSEAL_TRY(PlatformIdentity platform, read_platform(certificate.alternative_name()));
  if (!certificate.valid_at(with.now) && !(with.options.ignore_expiry && certificate.ended_before(with.now))) {
    return refused("platform-certificate-expired", "the attribute certificate is not valid now");
  }
  AVSEAL_TRY(const auto signers, with.anchors.signers(platform.manufacturer, with.chain));
  Error error = refused("platform-certificate-untrusted",
                        "expected a signature by a certificate of the bundle or the chain, found none that verifies");
  for (const auto& signer : signers) {
    if (!certificate.was_issued_by_subject_of(signer.get()) || !certificate.verifies_with(signer.get())) continue;
    const auto verified = with.anchors.verify(platform.manufacturer, signer.get(), with.chain, with.options, with.now);
    if (verified) return platform;
    error = verified.error();
  }
  return error;
}

Result<PlatformIdentity> verify_key_certificate(ByteView der, const With& with) {
  AVSEAL_TRY(const ssl::X509Ptr x509, read_certificate(der));
  const EVP_PKEY* key = X509_get0_pubkey(x509.get());
  if (key == nullptr || EVP_PKEY_eq(key, with.ek.key().key.get()) != 1) {
    return refused("platform-certificate-key-mismatch",
                   "expected a platform certificate of the EK's key, found that of another TPM");
  }
  if ((X509_get_extension_flags(x509.get()) & EXFLAG_CA) != 0) {
    return refused("platform-certificate-is-ca", "expected no CA certificate, found one");
  }
  if (!has_extended_usage(x509.get(), platform_usage)) {
    return refused("platform-certificate-eku",
                   std::string("expected extended key usage ") + platform_usage + ", found none such");
  }
  const auto names = DirectoryName::of_alternative_name(x509.get());
  if (!names) return refused("platform-certificate-san", names.error().detail);
  AVSEAL_TRY(PlatformIdentity platform, read_platform(*names));
  AVSEAL_CHECK(with.anchors.verify(platform.manufacturer, x509.get(), with.chain, with.options, with.now));
  return platform;
}

}  // namespace

Result<PlatformIdentity> verify_platform_certificate(ByteView der, const EkCertificate& ek,
                                                     std::span<const Bytes> chain, const Anchors& anchors,
                                                     ChainOptions options, UnixSeconds now) {
  const ssl::ErrorMark mark;
  const With with{ek, chain, anchors, options, now};
  return AttributeCertificate::looks_like_one(der) ? verify_attribute_certificate(der, with)
                                                   : verify_key_certificate(der, with);
}

}  // namespace avseal::attestation
