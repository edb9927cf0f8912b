// The certificates of the signing keys: how long they live, what they may be used for, whom they chain to.
#include <algorithm>

#include <fmt/format.h>

#include "cli/doctor/checks.hpp"
#include "cli/object_input.hpp"
#include "tokens/openssl.hpp"

namespace avseal::doctor {
namespace {

using keyring::KeyKind;
using tokens::Certificate;

constexpr std::int64_t day = 24 * 60 * 60;
constexpr std::int64_t warn_days = 30;

constexpr const char* renew =
    "order a new certificate with `avseal key csr`, install it and `systemctl reload avseald` before that day";

// One certificate of a chain. Those of keys that only verify on may have expired.
void check_validity(const Certificate& certificate, const std::string& subject, bool primary, UnixSeconds now,
                    Findings& findings) {
  const auto until = cli::time_text(certificate.not_after());
  const auto days = (certificate.not_after() - now) / day;
  if (now < certificate.not_before()) {
    findings.error("certificate-not-yet-valid", subject,
                   fmt::format("{} is valid from {}", certificate.subject(), cli::time_text(certificate.not_before())),
                   "a certificate that is valid now", "see that the clock is right, or wait");
  } else if (now > certificate.not_after() && primary) {
    findings.error("certificate-expired", subject, fmt::format("{} expired on {}", certificate.subject(), until),
                   "a certificate that is valid now", "install a new one: `avseal key csr` makes the request");
  } else if (now > certificate.not_after()) {
    findings.note("certificate-retired", subject, fmt::format("{} expired on {}", certificate.subject(), until));
  } else if (days <= warn_days && primary) {
    findings.warning("certificate-expires-soon", subject,
                     fmt::format("{} expires on {}, in {} days", certificate.subject(), until, days),
                     fmt::format("more than {} days", warn_days), renew);
  } else {
    findings.ok("certificate-validity", subject,
                fmt::format("{} is valid until {}, {} days", certificate.subject(), until, days));
  }
}

void check_usage(const keyring::KeyConfig& key, const Certificate& leaf, Findings& findings) {
  if (key.kind == KeyKind::ue_ca) {
    if (leaf.is_ca()) {
      findings.ok("certificate-usage", key.name, "CA certificate");
    } else {
      findings.error("certificate-usage", key.name, "no CA certificate", "basicConstraints CA:TRUE for a ue-ca key",
                     "have the request certified again, as a CA with pathlen 0");
    }
    return;
  }
  const auto usable = tokens::check_signer_usage(leaf);
  if (usable) {
    findings.ok("certificate-usage", key.name, "digitalSignature, no CA");
  } else {
    findings.error("certificate-usage", key.name, usable.error().detail, "keyUsage digitalSignature, CA:FALSE",
                   "have the request certified again with these extensions");
  }
}

// Each certificate of the file is signed by the next one.
void check_links(const std::vector<Certificate>& chain, const std::string& subject, Findings& findings) {
  const tokens::ssl::ErrorMark mark;
  for (std::size_t i = 0; i + 1 < chain.size(); ++i) {
    auto* const issuer = chain[i + 1].native();
    if (X509_check_issued(issuer, chain[i].native()) == X509_V_OK &&
        X509_verify(chain[i].native(), X509_get0_pubkey(issuer)) == 1) {
      continue;
    }
    findings.error("certificate-chain-broken", subject,
                   fmt::format("{} did not issue {}", chain[i + 1].subject(), chain[i].subject()),
                   "leaf first, and each certificate issued by the next",
                   "put the issuers' certificates in that order");
    return;
  }
  findings.ok("certificate-chain", subject, fmt::format("{} certificates", chain.size()));
}

// Whom this node itself trusts for the kind; nothing where others decide.
std::optional<tokens::TrustAnchors> anchors_of(const service::Config& config, KeyKind kind, Findings& findings) {
  if (kind == KeyKind::ue_ca && config.authorization) return config.authorization->ue_anchors;
  if (kind != KeyKind::avatar_id || !config.signing) return std::nullopt;
  const auto file = config.signing->trust.anchors.string();
  const auto pem = cli::read_file(file);
  auto anchors = pem ? tokens::TrustAnchors::create(*pem) : Result<tokens::TrustAnchors>(pem.error());
  if (anchors) return std::move(*anchors);
  findings.error(anchors.error(), file, "CA certificates in PEM", "correct `stir_anchors` in avseald.toml");
  return std::nullopt;
}

void check_trust(const service::Config& config, const keyring::KeyConfig& key, const std::vector<Certificate>& chain,
                 UnixSeconds now, Findings& findings) {
  if (!chain.front().valid_at(now)) return;
  const auto anchors = anchors_of(config, key.kind, findings);
  if (!anchors) return;
  const auto trusted = anchors->verify(chain.front(), std::span(chain).subspan(1), now);
  if (trusted) {
    findings.ok("certificate-trusted", key.name, "chains to this node's own anchors");
  } else {
    findings.error(trusted.error(), key.name, "a chain to this node's own anchors, as others have them too",
                   "add the missing intermediate certificates, or correct the anchors");
  }
}

}  // namespace

void check_certificates(const Site& site, Findings& findings) {
  if (!site.config) return;
  for (const auto& key : site.config->keyring.keys) {
    if (key.certificate.empty()) continue;
    const auto text = cli::read_file(key.certificate.string());
    const bool bare = text && key.kind == KeyKind::ledger && tokens::PublicKey::from_pem(*text);
    if (bare) {
      findings.ok("certificate-validity", key.name, "a bare public key, which does not expire");
      continue;
    }
    const auto chain = text ? Certificate::chain_from_pem(*text) : Result<std::vector<Certificate>>(text.error());
    if (!chain) {
      findings.error("certificate-unreadable", key.name, chain.error().detail, "a PEM chain, leaf first",
                     "correct `certificate` of the key in avseald.toml, or the file");
      continue;
    }
    for (const auto& certificate : *chain) check_validity(certificate, key.name, key.primary, site.now, findings);
    check_usage(key, chain->front(), findings);
    check_links(*chain, key.name, findings);
    check_trust(*site.config, key, *chain, site.now, findings);
  }
}

}  // namespace avseal::doctor
