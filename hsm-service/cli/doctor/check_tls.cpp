// The listener's own certificate, which may have a key of any type.
#include <boost/asio/ip/address.hpp>
#include <boost/url/parse.hpp>
#include <fmt/format.h>
#include <openssl/pem.h>

#include "cli/doctor/checks.hpp"
#include "cli/object_input.hpp"
#include "tokens/openssl.hpp"

namespace avseal::doctor {
namespace {

namespace ssl = tokens::ssl;

constexpr int warn_days = 30;

ssl::X509Ptr read_certificate(const std::filesystem::path& file) {
  const auto text = cli::read_file(file.string());
  if (!text) return nullptr;
  return ssl::X509Ptr(PEM_read_bio_X509(ssl::memory_bio(*text).get(), nullptr, nullptr, nullptr));
}

// A key file with a passphrase is none that a service can read: no prompt.
ssl::Pkey read_key(const std::filesystem::path& file) {
  const auto text = cli::read_file(file.string());
  if (!text) return nullptr;
  const auto no_passphrase = [](char*, int, int, void*) { return 0; };
  return ssl::Pkey(PEM_read_bio_PrivateKey(ssl::memory_bio(*text).get(), nullptr, no_passphrase, nullptr));
}

void check_dates(X509* certificate, const std::string& subject, UnixSeconds now, Findings& findings) {
  int days = 0;
  int seconds = 0;
  const std::unique_ptr<ASN1_TIME, ssl::Free<ASN1_TIME_free>> at(ASN1_TIME_set(nullptr, now));
  ASN1_TIME_diff(&days, &seconds, at.get(), X509_get0_notAfter(certificate));
  std::time_t moment = now;
  if (X509_cmp_time(X509_get0_notBefore(certificate), &moment) > 0) {
    findings.error("tls-certificate-not-yet-valid", subject, "it is not valid yet", "a certificate that is valid now",
                   "see that the clock is right, or wait");
  } else if (days < 0 || seconds < 0) {
    findings.error("tls-certificate-expired", subject, fmt::format("it expired {} days ago", -days),
                   "a certificate that is valid now", "install a new one and start avseald again");
  } else if (days <= warn_days) {
    findings.warning("tls-certificate-expires-soon", subject, fmt::format("it expires in {} days", days),
                     fmt::format("more than {} days", warn_days), "install a new one before that day");
  } else {
    findings.ok("tls-certificate", subject, fmt::format("valid for {} days", days));
  }
}

// Callers, and all who fetch x5u, reach this node by the host of public_url.
void check_host_name(X509* certificate, const std::string& public_url, const std::string& subject, Findings& findings) {
  const auto url = boost::urls::parse_uri(public_url);
  const std::string host = url ? std::string(url->host_address()) : std::string();
  boost::system::error_code no_literal;
  boost::asio::ip::make_address(host, no_literal);
  if (host.empty() || !no_literal) {
    findings.error("public-url-host", public_url, "its host is no name",
                   "a DNS name: verifiers fetch x5u from no other", "correct `public_url` in avseald.toml");
  } else if (X509_check_host(certificate, host.c_str(), host.size(), 0, nullptr) != 1) {
    findings.error("tls-name-missing", subject, fmt::format("it does not name {}, the host of public_url", host),
                   "a subjectAltName DNS:" + host, "install a certificate for that name, or correct `public_url`");
  } else {
    findings.ok("tls-name", subject, "names " + host);
  }
}

}  // namespace

void check_tls(const Site& site, Findings& findings) {
  if (!site.config) return;
  const ssl::ErrorMark mark;
  const auto& server = site.config->server;
  const auto subject = server.certificate.string();
  const auto certificate = read_certificate(server.certificate);
  if (!certificate) {
    findings.error("tls-certificate-unreadable", subject, "no PEM certificate can be read from it",
                   "a PEM chain, leaf first", "correct `certificate` of [server] in avseald.toml");
    return;
  }
  check_dates(certificate.get(), subject, site.now, findings);
  check_host_name(certificate.get(), site.config->public_url, subject, findings);
  const auto key = read_key(server.private_key);
  if (!key) {
    findings.error("tls-key-unreadable", server.private_key.string(),
                   "no PEM private key without passphrase can be read from it", "the key of the listener's certificate",
                   "run it as avseald's user or as root, or correct `private_key`");
  } else if (X509_check_private_key(certificate.get(), key.get()) != 1) {
    findings.error("tls-key-mismatch", server.private_key.string(), "it is not the key of " + subject,
                   "the key of the listener's certificate", "correct `certificate` or `private_key` of [server]");
  } else {
    findings.ok("tls-key", server.private_key.string(), "the key of the listener's certificate");
  }
}

}  // namespace avseal::doctor
