#include "keyring/certificate_rules.hpp"

#include <array>
#include <ctime>

#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "keyring/errors.hpp"

namespace avseal::keyring {
namespace {

std::string utc(UnixSeconds t) {
  const std::time_t time = t;
  std::tm parts{};
  std::array<char, 32> text{};
  if (gmtime_r(&time, &parts) == nullptr) return std::to_string(t);
  const auto size = std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &parts);
  return {text.data(), size};
}

}  // namespace

Result<void> check_suitable(const KeyConfig& config, const tokens::Certificate& leaf) {
  const auto unsuitable = [&](std::string_view why) {
    return errors::certificate_unsuitable(config.name, config.certificate, why);
  };
  if (config.kind == KeyKind::ue_ca) {
    if (!leaf.is_ca()) return unsuitable("a ue-ca key needs a CA certificate");
    return {};
  }
  if (leaf.has_ue_eku()) return unsuitable("it has the UE extended key usage, which only UE certificates may have");
  if (config.kind == KeyKind::avatar_id || config.kind == KeyKind::avatar_metadata) {
    if (leaf.is_ca()) return unsuitable("a signer's certificate must not be a CA certificate");
    if (!leaf.has_digital_signature()) return unsuitable("its keyUsage lacks digitalSignature");
  }
  return {};
}

Result<void> check_validity(const KeyConfig& config, const tokens::Certificate& leaf, UnixSeconds now) {
  if (now > leaf.not_after()) {
    return errors::certificate_expired(config.name, config.certificate, utc(leaf.not_after()));
  }
  if (now < leaf.not_before()) {
    return errors::certificate_not_yet_valid(config.name, config.certificate, utc(leaf.not_before()));
  }
  return {};
}

Result<void> check_chain(const KeyConfig& config, std::span<const tokens::Certificate> chain) {
  for (std::size_t i = 1; i < chain.size(); ++i) {
    X509* subject = chain[i - 1].native();
    X509* issuer = chain[i].native();
    const bool issued =
        X509_check_issued(issuer, subject) == X509_V_OK && X509_verify(subject, X509_get0_pubkey(issuer)) == 1;
    if (!issued) {
      return errors::certificate_chain_order(config.name, config.certificate, i + 1, chain[i - 1].issuer(),
                                             chain[i].subject());
    }
  }
  return {};
}

}  // namespace avseal::keyring
