#include <openssl/pem.h>

#include "tokens/certificate.hpp"
#include "tokens/openssl.hpp"

namespace avseal::tokens {
namespace {

constexpr std::size_t max_pem_size = 4 * 1024 * 1024;
constexpr int max_intermediates = 4;
constexpr int security_level = 2;  // 112 bits: no SHA-1, no RSA below 2048 bits

Error unusable(std::string detail) {
  return errors::make(Category::invalid, "trust-anchors-invalid", std::move(detail));
}

Error refused(int code) {
  const std::string detail = std::string("expected a certificate that chains to a trust anchor, found: ") +
                             X509_verify_cert_error_string(code);
  switch (code) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return errors::make(Category::invalid, "certificate-expired", detail);
    case X509_V_ERR_CERT_REVOKED:
      return errors::make(Category::invalid, "certificate-revoked", detail);
    default:
      return errors::make(Category::invalid, "certificate-untrusted", detail);
  }
}

bool ended_cleanly() {
  return ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
}

Result<void> add_anchors(X509_STORE* store, std::string_view pem) {
  const ssl::ErrorMark mark;
  const ssl::Bio bio = ssl::memory_bio(pem);
  std::size_t count = 0;
  std::size_t roots = 0;
  for (;; ++count) {
    const ssl::X509Ptr anchor(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
    if (!anchor) break;
    const std::uint32_t flags = X509_get_extension_flags(anchor.get());
    if ((flags & EXFLAG_INVALID) != 0 || (flags & EXFLAG_CA) == 0) {
      return unusable("expected CA certificates as trust anchors, found another certificate (number " +
                      std::to_string(count + 1) + ")");
    }
    if ((flags & EXFLAG_SS) != 0) ++roots;
    if (X509_STORE_add_cert(store, anchor.get()) != 1) return unusable("a trust anchor cannot be added");
  }
  if (!ended_cleanly()) return unusable("expected PEM certificates, found a block that cannot be read");
  if (count == 0) return unusable("expected at least one PEM certificate (BEGIN CERTIFICATE), found none");
  if (roots == 0) return unusable("expected at least one self-signed CA certificate, found only intermediate ones");
  return {};
}

Result<void> add_crls(X509_STORE* store, std::string_view pem) {
  const ssl::ErrorMark mark;
  const ssl::Bio bio = ssl::memory_bio(pem);
  std::size_t count = 0;
  for (;; ++count) {
    const ssl::X509Crl crl(PEM_read_bio_X509_CRL(bio.get(), nullptr, nullptr, nullptr));
    if (!crl) break;
    if (X509_STORE_add_crl(store, crl.get()) != 1) return unusable("a CRL cannot be added");
  }
  if (!ended_cleanly()) return unusable("expected PEM CRLs, found a block that cannot be read");
  if (count == 0) return unusable("expected at least one PEM CRL (BEGIN X509 CRL), found none");
  return {};
}

}  // namespace

struct TrustAnchors::Data {
  ssl::X509Store store;
  std::string pem;
  bool has_crls;
};

Result<TrustAnchors> TrustAnchors::create(std::string_view pem, std::string_view crl_pem) {
  if (pem.size() > max_pem_size || crl_pem.size() > max_pem_size) {
    return unusable("expected at most 4 MiB of trust anchors and of CRLs, found more");
  }
  ssl::X509Store store(X509_STORE_new());
  if (!store) return unusable("no certificate store can be made");
  AVSEAL_CHECK(add_anchors(store.get(), pem));
  if (!crl_pem.empty()) {
    AVSEAL_CHECK(add_crls(store.get(), crl_pem));
  }
  TrustAnchors anchors;
  anchors.data_ = std::make_shared<const Data>(Data{std::move(store), std::string(pem), !crl_pem.empty()});
  return anchors;
}

Result<void> TrustAnchors::verify(const Certificate& leaf, std::span<const Certificate> intermediates,
                                  UnixSeconds t) const {
  if (!data_) return refused(X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY);
  const ssl::ErrorMark mark;
  const ssl::BorrowedX509Stack untrusted(sk_X509_new_null());
  for (const Certificate& certificate : intermediates) sk_X509_push(untrusted.get(), certificate.native());
  const ssl::X509StoreContext context(X509_STORE_CTX_new());
  if (!context || X509_STORE_CTX_init(context.get(), data_->store.get(), leaf.native(), untrusted.get()) != 1) {
    return refused(X509_V_ERR_OUT_OF_MEM);
  }
  // No purpose: the leaves have usages that OpenSSL does not know; who verifies which kind asks for them itself.
  X509_VERIFY_PARAM* param = X509_STORE_CTX_get0_param(context.get());
  X509_VERIFY_PARAM_set_time(param, static_cast<std::time_t>(t));
  X509_VERIFY_PARAM_set_depth(param, max_intermediates);
  X509_VERIFY_PARAM_set_auth_level(param, security_level);
  if (data_->has_crls) X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_CRL_CHECK);
  if (X509_verify_cert(context.get()) != 1) return refused(X509_STORE_CTX_get_error(context.get()));
  return {};
}

std::string TrustAnchors::pem() const {
  return data_ ? data_->pem : std::string();
}

}  // namespace avseal::tokens
