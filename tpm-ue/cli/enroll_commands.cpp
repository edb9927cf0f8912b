#include <iostream>

#include <fmt/format.h>

#include "tokens/base64.hpp"
#include "tokens/digest.hpp"
#include "tpm-ue/cli/commands.hpp"
#include "tpm-ue/cli/enrollment_client.hpp"
#include "tpm/endorsement.hpp"

namespace avseal::ue {
namespace {

struct EnrollOptions {
  Operator place;
  std::string impu;
  std::string server;
  std::string code;
  std::string serial;
  std::string ek;
  std::int64_t wait = 120;
  bool if_due = false;
};

Patience patience_of(const EnrollOptions& given) {
  return {std::chrono::seconds(given.wait), [](std::chrono::milliseconds pause, const Error& because) {
            fmt::print(stderr, "avseal-ue: again in {:.1f} s: {}\n", static_cast<double>(pause.count()) / 1000,
                       because.detail);
          }};
}

std::string without_slash(std::string url) {
  while (url.ends_with('/')) url.pop_back();
  return url;
}

int report(const Options& options, const Operator& place, const device::Device& device,
           const Result<tokens::Certificate>& leaf) {
  if (!leaf) return fail(leaf.error());
  if (const auto kept = keep_operator(options.state, place); !kept) return fail(kept.error());
  fmt::print(stdout, "UE key {}\nUE certificate of {}, valid until {}, to be renewed after {}\n",
             tokens::hex_encode(device.key_name()), leaf->san_uris().front(), date_text(leaf->not_after()),
             date_text(device.enrolled()->renew_after));
  return 0;
}

Result<device::EnrollmentRequest> request_of(const EnrollOptions& given) {
  AVSEAL_TRY(auto impu, tokens::Impu::parse(given.impu));
  device::EnrollmentRequest request{.impu = std::move(impu),
                                    .server = given.server.empty() ? given.place.url : given.server,
                                    .code = given.code,
                                    .serial = given.serial};
  if (!given.ek.empty()) request.ek = tpm::ek_type_of(given.ek);
  if (given.code == "-" && !std::getline(std::cin, request.code)) {
    return errors::make(Category::invalid, "input-unusable", "expected the enrolment code in a line of standard input");
  }
  return request;
}

int run_enroll(const Options& options, EnrollOptions given) {
  given.place.url = without_slash(given.place.url);
  const auto request = request_of(given);
  if (!request) return fail(request.error());
  if (const auto made = device::Device::init(options.config()); !made) return fail(made.error());
  const auto device = open_device(options);
  if (!device) return fail(device.error());
  return report(options, given.place, **device, enroll(**device, given.place, *request, patience_of(given)));
}

int run_renew(const Options& options, EnrollOptions given) {
  const auto device = open_device(options);
  if (!device) return fail(device.error());
  const auto enrolled = (*device)->enrolled();
  if (given.if_due && enrolled && to_unix(system_clock_now()) < enrolled->renew_after) {
    fmt::print(stdout, "not due before {}\n", date_text(enrolled->renew_after));
    return 0;
  }
  if (given.place.url.empty() || given.place.anchors.empty()) {
    auto known = read_operator(options.state);
    if (!known) return fail(known.error());
    if (given.place.url.empty()) given.place.url = known->url;
    if (given.place.anchors.empty()) given.place.anchors = known->anchors;
  }
  given.place.url = without_slash(given.place.url);
  return report(options, given.place, **device, renew(**device, given.place, patience_of(given)));
}

struct EkEntry {
  tpm::EkType type;
  tokens::Sha256 hash;
};

Result<std::vector<EkEntry>> read_eks(const Options& options) {
  AVSEAL_TRY(const auto context, tpm::Context::open(options.tcti));
  std::vector<EkEntry> entries;
  for (const tpm::EkType type : tpm::ek_types) {
    AVSEAL_TRY(const auto certificate, tpm::read_ek_certificate(*context, type));
    if (!certificate) continue;
    AVSEAL_TRY(const auto hash, tpm::ek_hash(*certificate));
    entries.push_back({type, hash});
  }
  context->shut_down();
  return entries;
}

int run_ek(const Options& options) {
  const auto entries = read_eks(options);
  if (!entries) return fail(entries.error());
  for (const EkEntry& entry : *entries) {
    fmt::print(stdout, "{} {}\n", tpm::to_string(entry.type), tokens::hex_encode(entry.hash));
  }
  return entries->empty() ? 1 : 0;
}

void add_wait(CLI::App& command, const std::shared_ptr<EnrollOptions>& given) {
  command.add_option("--wait", given->wait, "seconds to wait, in all, while the operator puts us off")
      ->check(CLI::Range(0, 3600))
      ->capture_default_str();
}

}  // namespace

void add_enrollment(CLI::App& app, const std::shared_ptr<Options>& options, int& exit_code) {
  auto first = std::make_shared<EnrollOptions>();
  CLI::App& enroll_command =
      *app.add_subcommand("enroll", "Prove to the operator that a new UE key is in this TPM, and keep its certificate");
  enroll_command.add_option("--impu", first->impu, "the user's IMPU: sip:user@domain or tel:+number")->required();
  enroll_command.add_option("--url", first->place.url, "the operator's enrollment role: https://host[:port]")
      ->required();
  enroll_command
      .add_option("--cacert", first->place.anchors, "the only CAs of its certificate that are believed (PEM)")
      ->required()
      ->check(CLI::ExistingFile);
  enroll_command
      .add_option("--code", first->code,
                  "-: the operator's code for this IMPU is a line of standard input, where nobody else sees it. "
                  "Not needed where this device is bound to the IMPU already")
      ->check([](const std::string& text) {
        return text == "-" ? std::string() : "expected -, and the code on standard input: all users see arguments";
      });
  enroll_command.add_option("--serial", first->serial, "the device's serial number, if its maker's manifest has it");
  enroll_command.add_option("--ek", first->ek, "endorsement key to use, where the TPM has certificates of several")
      ->check(CLI::IsMember({"p-256", "rsa-2048", "p-384"}));
  enroll_command.add_option("--server", first->server, "what the enrollment role calls itself, if not the --url");
  add_wait(enroll_command, first);
  enroll_command.callback([=, &exit_code] { exit_code = run_enroll(*options, *first); });

  auto again = std::make_shared<EnrollOptions>();
  CLI::App& renew_command = *app.add_subcommand("renew",
                                                "Make a new UE key, have it certified by the attestation key; the old "
                                                "one works until the new certificate is here");
  renew_command.add_flag("--if-due", again->if_due, "do nothing before the time that the operator gave");
  renew_command.add_option("--url", again->place.url, "another place than at enrollment");
  renew_command.add_option("--cacert", again->place.anchors, "other CAs than at enrollment")->check(CLI::ExistingFile);
  add_wait(renew_command, again);
  renew_command.callback([=, &exit_code] { exit_code = run_renew(*options, *again); });
}

void add_endorsement(CLI::App& app, const std::shared_ptr<Options>& options, int& exit_code) {
  app.add_subcommand("ek", "Print type and hash of each endorsement key that has a certificate: what a manifest lists")
      ->callback([=, &exit_code] { exit_code = run_ek(*options); });
}

}  // namespace avseal::ue
