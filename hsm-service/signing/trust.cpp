#include "signing/trust.hpp"

#include <algorithm>
#include <fstream>
#include <iterator>

#include <openssl/objects.h>
#include <openssl/x509.h>

#include "tokens/base64.hpp"

namespace avseal::signing {
namespace {

Result<std::string> read_file(const std::filesystem::path& path, std::string_view reason) {
  std::ifstream in(path, std::ios::binary);
  std::string text{std::istreambuf_iterator<char>(in), {}};
  if (!in) return errors::make(Category::internal, reason, "cannot read " + path.string());
  return text;
}

Result<std::set<std::string, std::less<>>> read_deny_list(const std::filesystem::path& path) {
  std::set<std::string, std::less<>> denied;
  if (path.empty()) return denied;
  constexpr std::string_view reason = "stir-deny-list-unreadable";
  AVSEAL_TRY(const std::string text, read_file(path, reason));
  std::size_t number = 0;
  std::string_view rest = text;
  while (!rest.empty()) {
    ++number;
    const auto end = rest.find('\n');
    const std::string_view line = rest.substr(0, end);
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    if (line.empty() || line.front() == '#') continue;
    const auto digest = tokens::hex_decode(line);
    if (!digest || digest->size() != 32) {
      return errors::make(
          Category::internal, reason,
          path.string() + ":" + std::to_string(number) + ": expected the SHA-256 of a certificate in hex");
    }
    denied.insert(tokens::hex_encode(*digest));
  }
  return denied;
}

// RFC 8226 section 8 and RFC 9118: claims that a PASSporT of this certificate must or must not have. They bind every
// relying party, and are not evaluated here.
bool has_claim_constraints(const tokens::Certificate& certificate) {
  for (const char* oid : {"1.3.6.1.5.5.7.1.27", "1.3.6.1.5.5.7.1.33"}) {
    const std::unique_ptr<ASN1_OBJECT, decltype(&ASN1_OBJECT_free)> object(OBJ_txt2obj(oid, 1), &ASN1_OBJECT_free);
    if (!object || X509_get_ext_by_OBJ(certificate.native(), object.get(), -1) >= 0) return true;
  }
  return false;
}

Error refused(std::string_view reason, std::string detail) {
  return errors::make(Category::invalid, reason, std::move(detail));
}

}  // namespace

Result<std::shared_ptr<Trust>> Trust::create(TrustConfig config) {
  std::shared_ptr<Trust> trust(new Trust(std::move(config)));
  AVSEAL_CHECK(trust->reload());
  return trust;
}

Result<std::function<void()>> Trust::reread() {
  AVSEAL_TRY(auto files, read());
  return std::function<void()>([this, files = std::move(files)] {
    const std::lock_guard lock(mutex_);
    files_ = files;
  });
}

Result<void> Trust::reload() {
  AVSEAL_TRY(const auto use, reread());
  use();
  return {};
}

Result<std::shared_ptr<const Trust::Files>> Trust::read() const {
  constexpr std::string_view reason = "stir-anchors-unreadable";
  AVSEAL_TRY(const std::string anchors, read_file(config_.anchors, reason));
  std::string crls;
  if (!config_.crls.empty()) {
    AVSEAL_TRY(crls, read_file(config_.crls, reason));
  }
  AVSEAL_TRY(auto store, tokens::TrustAnchors::create(anchors, crls));
  AVSEAL_TRY(auto denied, read_deny_list(config_.deny_list));
  return std::make_shared<const Files>(Files{std::move(store), std::move(denied)});
}

Result<void> Trust::check(std::span<const tokens::Certificate> chain, UnixSeconds iat, UnixSeconds now) const {
  std::shared_ptr<const Files> files;
  {
    const std::lock_guard lock(mutex_);
    files = files_;
  }
  const tokens::Certificate& leaf = chain.front();
  if (files->denied.contains(leaf.sha256_hex()))
    return refused("certificate-denied", "the signer's certificate is on the deny list");
  if (leaf.is_ca()) return refused("certificate-is-ca", "expected an end-entity certificate, found a CA");
  if (leaf.has_ue_eku()) return refused("certificate-is-ue", "a UE certificate signs no PASSporT");
  if (!leaf.has_digital_signature()) return refused("certificate-key-usage", "expected keyUsage digitalSignature");
  if (std::any_of(chain.begin(), chain.end(), has_claim_constraints)) {
    return refused("certificate-constraints", "expected no JWTClaimConstraints, found some");
  }
  if (auto trusted = files->anchors.verify(leaf, chain.subspan(1), now); !trusted) {
    return refused(trusted.error().reason, trusted.error().detail);
  }
  if (!leaf.valid_at(iat)) {
    return refused("certificate-not-valid-at-iat", "expected iat within the certificate's validity");
  }
  return {};
}

}  // namespace avseal::signing
