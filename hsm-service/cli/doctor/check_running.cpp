// A running node, as others see it.
#include <fmt/format.h>

#include "cli/doctor/checks.hpp"
#include "cli/object_input.hpp"

namespace avseal::doctor {
namespace {

bool same_chain(const std::vector<tokens::Certificate>& one, const std::vector<tokens::Certificate>& other) {
  return std::equal(one.begin(), one.end(), other.begin(), other.end(),
                    [](const auto& a, const auto& b) { return a.der() == b.der(); });
}

void check_x5u(const keyring::KeyConfig& key, const std::string& public_url, const cli::OperatorClient& node,
               Findings& findings) {
  const auto text = cli::read_file(key.certificate.string());
  const auto local =
      text ? tokens::Certificate::chain_from_pem(*text) : Result<std::vector<tokens::Certificate>>(text.error());
  if (!local) return;
  cli::OperatorClient anybody;
  anybody.url = public_url;
  anybody.cacert = node.cacert;
  const auto path = "/certs/" + local->front().sha256_hex() + ".pem";
  const auto answer = anybody.call(http::Method::get, path);
  if (!answer) {
    findings.error("x5u-unreachable", public_url + path, answer.error().detail,
                   "the certificate chain of key " + key.name + ", for everybody",
                   "`systemctl reload avseald` if the certificate is new; see that public_url leads to this node");
    return;
  }
  const auto served = tokens::Certificate::chain_from_pem(answer->body);
  if (served && same_chain(*served, *local)) {
    findings.ok("x5u", public_url + path, "the chain of " + key.certificate.string());
  } else {
    findings.error("x5u-differs", public_url + path, "another chain than in " + key.certificate.string(),
                   "the same chain, byte for byte",
                   "`systemctl reload avseald`, and see that public_url leads to this node");
  }
}

}  // namespace

void check_running(const Site& site, const cli::OperatorClient& given, Findings& findings) {
  if (!site.config) return;
  if (!site.running) {
    findings.note("not-running", site.config->public_url,
                  "nothing listens there; what needs a running node was left out");
    return;
  }
  auto node = given;
  if (node.url.empty()) node.url = site.config->public_url;
  if (node.cacert.empty() && site.config->signing) node.cacert = site.config->signing->fetcher.tls_anchors.string();
  if (node.cacert.empty()) {
    findings.note("running-unverified", node.url,
                  "the node runs, but there are no anchors to verify its TLS certificate with",
                  "add --cacert FILE to compare its certificates with the local ones");
    return;
  }
  for (const auto& key : site.config->keyring.keys) {
    if (key.kind == keyring::KeyKind::avatar_id) check_x5u(key, site.config->public_url, node, findings);
  }
  if (!node.cert.empty()) check_ready(node, findings);
}

}  // namespace avseal::doctor
