// Who else than the owner may read what is secret, or write what is trusted.
#include <sys/stat.h>

#include <fmt/format.h>

#include "cli/doctor/checks.hpp"
#include "enrollment/rule_book.hpp"

namespace avseal::doctor {
namespace {

using std::filesystem::path;

std::optional<mode_t> mode_of(const path& file) {
  struct stat status {};
  if (::stat(file.c_str(), &status) != 0) return std::nullopt;
  return status.st_mode & 07777;
}

std::string octal(mode_t mode) {
  return fmt::format("mode {:04o}", mode);
}

// Nobody but the owner needs it: others are an error, a group is worth a look. What is not there yet is no finding.
void check_private(const path& file, const std::string& id, mode_t good, Findings& findings) {
  const auto mode = mode_of(file);
  if (file.empty() || !mode) return;
  const auto repair = fmt::format("chmod {:04o} {}", good, file.string());
  if ((*mode & S_IRWXO) != 0) {
    findings.error(id, file.string(), octal(*mode) + ": open to everybody", octal(good), repair);
  } else if ((*mode & S_IRWXG) != 0) {
    findings.warning(id, file.string(), octal(*mode) + ": open to its group", octal(good),
                     repair + ", unless that group is the service's own");
  } else {
    findings.ok(id, file.string(), octal(*mode));
  }
}

// Its content decides what is done with keys.
void check_trusted(const path& file, const std::string& id, Findings& findings) {
  const auto mode = mode_of(file);
  if (file.empty() || !mode) return;
  const auto repair = "chmod go-w " + file.string();
  if ((*mode & S_IWOTH) != 0) {
    findings.error(id, file.string(), octal(*mode) + ": everybody may write it", "written by its owner only", repair);
  } else if ((*mode & S_IWGRP) != 0) {
    findings.warning(id, file.string(), octal(*mode) + ": its group may write it", "written by its owner only", repair);
  } else {
    findings.ok(id, file.string(), octal(*mode));
  }
}

// Group-accessible by design (avseald is in the group), never open to others.
void check_socket(const path& socket, Findings& findings) {
  const auto mode = mode_of(socket);
  if (!mode) {
    findings.warning("socket-missing", socket.string(), "there is no socket", "a running worker that listens there",
                     "start the worker: `systemctl status 'avseal-tokend@*'`");
  } else if ((*mode & S_IRWXO) != 0) {
    findings.error("socket-mode", socket.string(), octal(*mode) + ": open to everybody", "mode 0660",
                   "set [socket] group in the worker's configuration and start it again");
  } else {
    findings.ok("socket-mode", socket.string(), octal(*mode));
  }
}

void check_worker(const Worker& worker, Findings& findings) {
  check_trusted(worker.file, "configuration-mode", findings);
  check_trusted(worker.config.module, "module-mode", findings);
  check_private(worker.config.pin_file, "pin-file-mode", 0600, findings);
  check_private(worker.config.state_directory, "state-directory-mode", 0700, findings);
  for (const auto& key : worker.config.keys) check_trusted(key.issuer_certificate, "certificate-mode", findings);
}

void check_enrollment(const enrollment::AttestationConfig& config, Findings& findings) {
  check_private(config.evidence_directory, "evidence-mode", 0700, findings);
  for (const auto& file : {config.profile, config.signer}) check_trusted(file, "anchors-mode", findings);
  for (const auto& maker : config.makers) check_trusted(maker.signer, "anchors-mode", findings);
  const auto rules = enrollment::RuleBook::create(config);
  if (!rules) {
    findings.error("enrollment-documents", config.profile.string(), rules.error().detail,
                   "a policy profile and signed documents that can be read", "mend what the sentence names");
  } else if ((*rules)->current()->policy.test) {
    findings.warning("enrollment-test-profile", config.profile.string(),
                     "a test profile: software TPMs get certificates", "test = false in production",
                     "take another enrollment.profile");
  }
}

void check_node(const service::Config& config, Findings& findings) {
  check_private(config.server.private_key, "private-key-mode", 0600, findings);
  check_trusted(config.server.client_anchors, "anchors-mode", findings);
  check_private(config.socket_directory, "socket-directory-mode", 0700, findings);
  check_private(config.ledger.directory, "ledger-mode", 0700, findings);
  check_private(config.store_file, "store-mode", 0600, findings);
  check_private(config.row_key_file, "store-mode", 0600, findings);
  for (const auto& token : config.keyring.tokens) {
    for (const auto& socket : token.sockets) check_socket(socket, findings);
  }
  for (const auto& key : config.keyring.keys) check_trusted(key.certificate, "certificate-mode", findings);
  if (config.signing) {
    check_trusted(config.signing->trust.anchors, "anchors-mode", findings);
    check_trusted(config.signing->trust.deny_list, "anchors-mode", findings);
    if (const auto& source = config.signing->subscription_source; source)
      check_private(source->private_key, "private-key-mode", 0600, findings);
  }
  if (config.dac) check_private(config.dac->directory, "content-mode", 0700, findings);
  if (config.enrollment && config.enrollment->attestation) check_enrollment(*config.enrollment->attestation, findings);
}

}  // namespace

void check_files(const Site& site, Findings& findings) {
  for (const auto& worker : site.workers) check_worker(worker, findings);
  if (!site.config) return;
  check_trusted(site.config_file, "configuration-mode", findings);
  check_node(*site.config, findings);
}

}  // namespace avseal::doctor
