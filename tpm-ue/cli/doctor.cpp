// avseal-ue doctor: what is wrong with a device, and what to do about it.
#include <cstdio>

#include <fmt/format.h>

#include "device/current.hpp"
#include "findings/report.hpp"
#include "tokens/base64.hpp"
#include "tpm-ue/cli/commands.hpp"
#include "tpm-ue/cli/enrollment_client.hpp"
#include "tpm/endorsement.hpp"
#include "tpm/health.hpp"
#include "tpm/keys.hpp"

namespace avseal::ue {
namespace {

using doctor::Findings;

constexpr UnixSeconds earliest_plausible = 1'764'000'000;  // this program is younger

void check_identity(const tpm::TpmInfo& info, Findings& findings) {
  findings.ok("tpm-reachable", info.tcti,
              fmt::format("manufacturer \"{}\", \"{}\", firmware {}", info.manufacturer, info.vendor, info.firmware));
  if (info.emulated) {
    findings.warning("tpm-emulated", info.tcti, "an emulator: its keys are as safe as its files",
                     "a TPM, outside of tests", "use --tcti device:/dev/tpmrm0");
  } else if (!info.managed) {
    findings.warning("tpm-unmanaged", info.tcti, "no resource manager: other programs' objects take the few slots",
                     "the kernel's resource manager", "use --tcti device:/dev/tpmrm0");
  }
}

void check_lockout(const tpm::Health& health, Findings& findings) {
  const std::string state = fmt::format("{} of {} tries used, one is forgotten every {} s", health.lockout_counter,
                                        health.lockout_limit, health.lockout_interval);
  constexpr const char* reset =
      "wait, or as the TPM's owner: tpm2_dictionarylockout --clear-lockout; find the program that "
      "uses a wrong password, or a key without noDA before an unclean power-off";
  if (health.in_lockout) {
    findings.error("tpm-lockout", "dictionary attack", state + ": locked",
                   "no lockout; the UE key itself is not affected", reset);
  } else if (health.lockout_counter > 0) {
    findings.warning("tpm-lockout-near", "dictionary attack", state, "0 tries used", reset);
  } else {
    findings.ok("tpm-lockout", "dictionary attack", state);
  }
  if (health.lockout_auth_set) {
    findings.ok("tpm-lockout-auth", "lockout hierarchy", "its password is set");
  } else {
    findings.warning("tpm-lockout-auth", "lockout hierarchy",
                     "its password is empty: any program may clear the TPM, and the UE key with it",
                     "a password that is set when the device is made", "tpm2_changeauth -c lockout, in the factory");
  }
  if (health.owner_auth_set) {
    findings.note("tpm-owner-auth", "owner hierarchy", "its password is set",
                  "init needs it empty, unless the SRK is at 0x81000001 already");
  }
  if (health.endorsement_auth_set) {
    findings.error("tpm-endorsement-auth", "endorsement hierarchy", "its password is set",
                   "an empty password: enrollment makes the attestation key there",
                   "tpm2_changeauth -c endorsement with an empty password, as its owner");
  }
}

void check_slots(const tpm::Health& health, Findings& findings) {
  const std::string found = fmt::format("free: {} for objects, {} for sessions, {} persistent", health.object_slots,
                                        health.session_slots, health.persistent_slots);
  if (health.object_slots < 3 || health.session_slots < 2) {
    findings.warning("tpm-slots", "slots", found, "3 for objects and 2 for sessions: enrollment needs them",
                     "use /dev/tpmrm0; or tpm2_flushcontext -t and -l, when nobody works");
  } else {
    findings.ok("tpm-slots", "slots", found);
  }
}

void check_tpm_clock(const tpm::Health& health, Findings& findings) {
  const std::string found = fmt::format("{} s of power, {} resets, {} restarts", health.clock / 1000,
                                        health.reset_count, health.restart_count);
  if (health.clock_safe) {
    findings.ok("tpm-clock", "TPM clock", found);
  } else {
    findings.note("tpm-clock", "TPM clock", found + "; it may have gone back, after an unclean power-off",
                  "power the device off in order; the mark goes by itself");
  }
}

void check_srk(tpm::Context& context, Findings& findings) {
  const auto present = tpm::find_persistent(context, tpm::srk_handle);
  if (!present)
    return findings.error(present.error(), "SRK", "a readable object at 0x81000001", "see the sentence above");
  if (!*present) return findings.note("srk-absent", "SRK", "nothing at 0x81000001: each process makes it again");
  const auto& area = (*present)->public_area;
  if (tpm::matches_template(area, tpm::srk_template())) {
    return findings.ok("srk", "SRK", "at 0x81000001, of our template, with noDA");
  }
  const bool no_da = (area.publicArea.objectAttributes & TPMA_OBJECT_NODA) != 0;
  findings.warning(
      "srk-foreign", "SRK",
      no_da ? "a key of another template is at 0x81000001; each process makes our own again"
            : "a key without noDA is at 0x81000001: a lockout by others would block what is below it; each "
              "process makes our own again",
      "a P-256 storage key with noDA", "as owner, if nobody uses it: tpm2_evictcontrol -C o -c 0x81000001");
}

void check_endorsement(tpm::Context& context, Findings& findings) {
  int found = 0;
  for (const tpm::EkType type : tpm::ek_types) {
    const std::string subject = fmt::format("EK {}", tpm::to_string(type));
    const auto certificate = tpm::read_ek_certificate(context, type);
    if (!certificate) {
      findings.error(certificate.error(), subject, "a certificate in NV", "ask the TPM's maker, or the device's");
    } else if (*certificate) {
      ++found;
      const auto key = tpm::find_endorsement_key(context, type, **certificate);
      if (!key) {
        findings.error(key.error(), subject, "the certificate of the key in this chip", "ask the device's maker");
        continue;
      }
      const auto hash = tpm::ek_hash(**certificate);
      findings.ok("ek", subject,
                  fmt::format("certificate fits the key, hash {}", hash ? tokens::hex_encode(*hash) : "?"));
    }
  }
  if (found == 0) {
    findings.error("ek-certificate-missing", "EK", "no certificate in NV (0x01C0000A, 0x01C00002, 0x01C00016)",
                   "at least one", "attested enrollment is not possible; ask the device's maker");
  }
}

void check_certificate(const device::Device& device, UnixSeconds now, Findings& findings) {
  const auto leaf = device.certificate();
  if (!leaf) {
    return findings.error("ue-certificate-missing", "UE certificate", "none", "one", "avseal-ue enroll");
  }
  const std::string found = fmt::format("{}, {} to {}", leaf->san_uris().front(), date_text(leaf->not_before()),
                                        date_text(leaf->not_after()));
  const auto enrolled = device.enrolled();
  if (const auto usable = device::check_leaf(*leaf, device.public_key(), now); !usable) {
    findings.error(usable.error(), "UE certificate", "one of this key, valid now",
                   "see that the clock is right; then avseal-ue renew, or enroll");
  } else if (enrolled && now > enrolled->renew_after) {
    findings.warning("ue-certificate-old", "UE certificate", found, "renewed after " + date_text(enrolled->renew_after),
                     "avseal-ue renew; run it from a timer with --if-due");
  } else {
    findings.ok("ue-certificate", "UE certificate", found);
  }
}

void check_enrollment(const Options& options, const device::Device& device, Findings& findings) {
  const auto enrolled = device.enrolled();
  if (!enrolled) {
    return findings.warning("device-not-enrolled", "enrollment", "no attested enrollment", "one", "avseal-ue enroll");
  }
  findings.ok("enrollment", "enrollment", fmt::format("device {} at {}", enrolled->device, enrolled->server));
  if (const auto known = read_operator(options.state); !known) {
    findings.warning("operator-unknown", "enrollment", known.error().detail, "operator.json beside state.json",
                     "avseal-ue renew with --url and --cacert");
  }
}

void check_keys(const Options& options, UnixSeconds now, Findings& findings) {
  const auto device = open_device(options);
  if (!device) {
    return findings.error(device.error(), options.state, "a state directory that init made", "see the sentence above");
  }
  const auto tested = (*device)->self_test();
  if (tested) {
    findings.ok("ue-key", "UE key", tokens::hex_encode((*device)->key_name()) + ", test signature good");
  } else {
    findings.error(tested.error(), "UE key", "a test signature", "see the sentence above");
  }
  check_certificate(**device, now, findings);
  check_enrollment(options, **device, findings);
  if (!(*device)->enrolled() || !tested) return;
  const auto attestation = (*device)->test_attestation();
  if (attestation) {
    findings.ok("ak", "attestation key", "the one of the enrollment, certifies the UE key");
  } else {
    const bool lost = attestation.error().reason == "tpm-ak-mismatch";
    findings.error(attestation.error(), "attestation key", "the one of the enrollment",
                   lost ? "avseal-ue enroll" : "see the sentence above");
  }
}

void check_clock(UnixSeconds now, Findings& findings) {
  if (now < earliest_plausible) {
    findings.error("clock-wrong", "clock", date_text(now), "the time of day: certificates and UE tokens depend on it",
                   "set the clock, and keep it with an NTP client");
  } else {
    findings.ok("clock", "clock", date_text(now));
  }
}

void check_tpm(const Options& options, Findings& findings) {
  const auto context = tpm::Context::open(options.tcti);
  if (!context) return findings.error(context.error(), options.tcti, "a TPM that answers", "see the sentence above");
  check_identity((*context)->info(), findings);
  const auto health = tpm::read_health(**context);
  if (!health) return findings.error(health.error(), options.tcti, "its properties", "see the sentence above");
  check_lockout(*health, findings);
  check_slots(*health, findings);
  check_tpm_clock(*health, findings);
  check_srk(**context, findings);
  check_endorsement(**context, findings);
  (*context)->shut_down();
}

int examine(const Options& options, bool json) {
  doctor::Report report;
  report.kind = "state";
  report.subject = options.state;
  report.time = to_unix(system_clock_now());
  check_clock(report.time, report.findings);
  check_tpm(options, report.findings);
  check_keys(options, report.time, report.findings);
  const auto text = json ? doctor::as_json(report) : doctor::as_text(report);
  std::fwrite(text.data(), 1, text.size(), stdout);
  return doctor::exit_code(report.findings);
}

}  // namespace

void add_doctor(CLI::App& app, const std::shared_ptr<Options>& options, int& exit_code) {
  CLI::App& command =
      *app.add_subcommand("doctor",
                          "Examine TPM, keys, certificate and clock: what is wrong, and what to do. Changes nothing.\n"
                          "Exit code 0: fine, 1: warnings, 2: errors");
  auto json = std::make_shared<bool>(false);
  command.add_flag("--json", *json, "one JSON object, for programs");
  command.callback([=, &exit_code] { exit_code = examine(*options, *json); });
}

}  // namespace avseal::ue
