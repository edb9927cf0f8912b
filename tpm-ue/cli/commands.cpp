#include "tpm-ue/cli/commands.hpp"

#include <cstdlib>
#include <fstream>
#include <iostream>

#include <fmt/chrono.h>
#include <fmt/format.h>

#include "device/errors.hpp"
#include "tokens/base64.hpp"
#include "tpm-ue/cli/https.hpp"

namespace avseal::ue {

namespace {

// fmt throws only for a broken format string or a closed stream; a tool has nothing better to do then than to end.
template <class... Args>
void say(fmt::format_string<Args...> format, Args&&... args) {
  fmt::print(stdout, format, std::forward<Args>(args)...);
}

void log_tpm(const tpm::TpmInfo& info) {
  fmt::print(stderr, "avseal-ue: TPM at {}: manufacturer \"{}\", \"{}\", firmware {}{}\n", info.tcti, info.manufacturer,
             info.vendor, info.firmware, info.emulated ? " (an emulator: for tests only)" : "");
}

int init(const Options& options) {
  const auto outcome = device::Device::init(options.config());
  if (!outcome) return fail(outcome.error());
  const auto device = device::Device::open(options.config());
  if (!device) return fail(device.error());
  const bool created = *outcome == device::InitOutcome::created;
  say("{} UE key {}\n", created ? "made" : "kept", tokens::hex_encode((*device)->key_name()));
  say("storage root key: {}\n",
      (*device)->srk_persistent() ? "at 0x81000001, Name pinned" : "made again by each process, Name pinned");
  if (created) say("next: avseal-ue enroll --impu sip:user@domain --url https://operator --cacert ca.pem --code -\n");
  return 0;
}

template <class Use>
int with_device(const Options& options, Use use, bool say_times = false) {
  const auto device = open_device(options, say_times);
  if (!device) return fail(device.error());
  return use(**device);
}

int csr(const Options& options, const std::string& impu_text) {
  const auto impu = tokens::Impu::parse(impu_text);
  if (!impu) return fail(impu.error());
  return with_device(options, [&](device::Device& device) {
    const auto pem = device.certificate_request(*impu);
    if (!pem) return fail(pem.error());
    say("{}", *pem);
    return 0;
  });
}

int import_certificate(const Options& options, const std::string& file) {
  const auto pem = read_input(file);
  if (!pem) return fail(pem.error());
  return with_device(options, [&](device::Device& device) {
    const auto leaf = device.import_certificate(*pem);
    if (!leaf) return fail(leaf.error());
    say("imported the UE certificate of {}, valid until {}\n", leaf->san_uris().front(), date_text(leaf->not_after()));
    return 0;
  });
}

int fingerprint(const Options& options) {
  return with_device(options, [&](device::Device& device) {
    const auto leaf = device.certificate();
    if (!leaf) return fail(device::errors::no_certificate());
    say("a=fingerprint:{}\n", leaf->fingerprint().to_sdp());
    return 0;
  });
}

int token(const Options& options, const device::UeTokenRequest& request) {
  const auto print = [&](device::Device& device) {
    const auto jwt = device.ue_token(request);
    if (!jwt) return fail(jwt.error());
    say("{}\n", *jwt);
    return 0;
  };
  return with_device(options, print, true);
}

std::string days_left(const tokens::Certificate& leaf) {
  const UnixSeconds now = to_unix(system_clock_now());
  if (!leaf.valid_at(now)) return "NOT VALID NOW";
  const UnixSeconds left = leaf.not_after() - now;
  return left < 2 * 86400 ? fmt::format("{} hours left", left / 3600) : fmt::format("{} days left", left / 86400);
}

void say_enrollment(const device::Device& device) {
  const auto enrolled = device.enrolled();
  if (!enrolled) return say("enrollment:  none attested\n");
  say("enrollment:  device {}, by its {} endorsement key\n", enrolled->device, enrolled->ek);
  say("             at {}, to be renewed after {}\n", enrolled->server, date_text(enrolled->renew_after));
}

int status(const Options& options) {
  tpm::WorkerTimes times;  // of the test signature
  auto config = options.config();
  config.on_times = [&times](const tpm::WorkerTimes& of_job) {
    times.queue += of_job.queue;
    times.load += of_job.load;
    times.tpm += of_job.tpm;
  };
  const auto device = device::Device::open(std::move(config));
  if (!device) return fail(device.error());
  say("state:       {}\n", options.state);
  say("UE key:      Name {}, thumbprint {}\n", tokens::hex_encode((*device)->key_name()),
      (*device)->public_key().thumbprint());
  say("SRK:         {}\n", (*device)->srk_persistent() ? "at 0x81000001" : "made again by each process");
  say_enrollment(**device);
  if (const auto leaf = (*device)->certificate()) {
    say("certificate: {}, until {} ({})\n", leaf->san_uris().front(), date_text(leaf->not_after()), days_left(*leaf));
    say("fingerprint: {}\n", leaf->fingerprint().to_sdp());
  } else {
    say("certificate: none yet\n");
  }
  const auto info = (*device)->self_test();
  if (!info) return fail(info.error());
  say("TPM:         {} \"{}\", firmware {}, at {}; test signature good\n", info->manufacturer, info->vendor,
      info->firmware, info->tcti);
  say("times:       {}\n", to_text(times));
  return 0;
}

void add_token(CLI::App& app, const std::shared_ptr<Options>& options, int& exit_code) {
  auto request = std::make_shared<device::UeTokenRequest>();
  CLI::App* command = app.add_subcommand("token", "Print a UE token (JWT) for one XR AS, avatar and application");
  command->add_option("--aud", request->aud, "XR AS id, as the operator's client table has it")->required();
  command->add_option("--avatar", request->avatar_id, "Avatar-id of this call")->required();
  command->add_option("--app", request->app, "application id")->required();
  command->add_option("--lifetime", request->lifetime, "seconds, 1 to 120")->capture_default_str();
  command->callback([=, &exit_code] { exit_code = token(*options, *request); });
}

struct PresentOptions {
  HttpsRequest request;
  std::string file;
};

// The client certificate is the UE certificate; the TPM signs the handshake.
int present(const Options& options, PresentOptions given) {
  auto body = read_input(given.file);
  if (!body) return fail(body.error());
  given.request.body = std::move(*body);
  return with_device(options, [&](device::Device& device) {
    given.request.authenticate = [&device](ssl_ctx_st& context) { return device.authenticate_tls(context); };
    const auto answer = post(given.request);
    if (!answer) return fail(answer.error());
    say("{}\n", answer->body);
    return answer->status == 200 ? 0 : 1;
  });
}

void add_present(CLI::App& app, const std::shared_ptr<Options>& options, int& exit_code) {
  auto given = std::make_shared<PresentOptions>();
  CLI::App* command = app.add_subcommand(
      "present", "Hand a UE token to an XR AS, on a TLS connection whose certificate is the UE certificate");
  command->add_option("--url", given->request.url, "where the XR AS takes it: https://host[:port]/path")->required();
  command->add_option("--cacert", given->request.anchors, "CAs of the XR AS's certificate (PEM)")->required();
  command->add_option("FILE", given->file, "JSON with the UE token, as the XR AS wants it; - for standard input")
      ->required();
  command->callback([=, &exit_code] { exit_code = present(*options, *given); });
}

}  // namespace

device::DeviceConfig Options::config() const {
  device::DeviceConfig config;
  config.state = state;
  config.tcti = tcti;
  config.on_connect = log_tpm;
  if (const char* directory = std::getenv("CREDENTIALS_DIRECTORY")) config.credentials = directory;
  return config;
}

Result<std::unique_ptr<device::Device>> open_device(const Options& options, bool say_times) {
  auto config = options.config();
  if (say_times) {
    config.on_times = [](const tpm::WorkerTimes& times) { fmt::print(stderr, "avseal-ue: {}\n", to_text(times)); };
  }
  return device::Device::open(std::move(config));
}

std::string to_text(const tpm::WorkerTimes& times) {
  const auto ms = [](std::chrono::microseconds time) { return static_cast<double>(time.count()) / 1000; };
  return fmt::format("{:.1f} ms in the queue, {:.1f} ms to connect and load the key, {:.1f} ms in the TPM",
                     ms(times.queue), ms(times.load), ms(times.tpm));
}

std::string date_text(UnixSeconds time) {
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(time));
}

Result<std::string> read_input(const std::string& name) {
  constexpr std::size_t most = 64 * 1024;
  std::string text;
  std::ifstream file;
  if (name != "-") file.open(name);
  std::istream& in = name == "-" ? std::cin : file;
  char c = 0;
  while (text.size() <= most && in.get(c)) text.push_back(c);
  if (text.empty() || text.size() > most) {
    return errors::make(Category::invalid, "input-unusable",
                        fmt::format("{}: expected a file of 1 to {} bytes", name, most));
  }
  return text;
}

int fail(const Error& error) {
  fmt::print(stderr, "avseal-ue: {} [{}]\n", error.detail, error.reason);
  return 1;
}

void add_commands(CLI::App& app, const std::shared_ptr<Options>& options, int& exit_code) {
  app.add_option("--state", options->state, "directory of the key file, its auth value and the certificate (mode 0700)")
      ->capture_default_str();
  app.add_option(
         "--tcti", options->tcti,
         "how to reach the TPM: device:/dev/tpmrm0 or tabrmd:...; for tests also swtpm:path=SOCKET or mssim:...")
      ->capture_default_str();
  app.fallthrough();

  app.add_subcommand("init", "Make the UE key in the TPM, once; afterwards check that it still works")
      ->callback([=, &exit_code] { exit_code = init(*options); });

  auto impu = std::make_shared<std::string>();
  CLI::App* csr_command = app.add_subcommand("csr", "Print a certificate request (PEM), signed by the UE key");
  csr_command->add_option("--impu", *impu, "the user's IMPU: sip:user@domain or tel:+number")->required();
  csr_command->callback([=, &exit_code] { exit_code = csr(*options, *impu); });

  auto file = std::make_shared<std::string>();
  CLI::App* import_command = app.add_subcommand("import-cert", "Keep the UE certificate that the operator issued");
  import_command->add_option("FILE", *file, "PEM chain, the UE's own certificate first; - for standard input")
      ->required();
  import_command->callback([=, &exit_code] { exit_code = import_certificate(*options, *file); });

  app.add_subcommand("fingerprint", "Print the certificate's fingerprint as an SDP line")->callback([=, &exit_code] {
    exit_code = fingerprint(*options);
  });
  add_enrollment(app, options, exit_code);
  add_token(app, options, exit_code);
  add_present(app, options, exit_code);
  app.add_subcommand("status", "Say what is here, and make a test signature")->callback([=, &exit_code] {
    exit_code = status(*options);
  });
  add_endorsement(app, options, exit_code);
  add_doctor(app, options, exit_code);
}

}  // namespace avseal::ue
