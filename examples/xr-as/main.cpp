// avseal-example-xr-as: an XR AS (3GPP: DC AS) that takes UE tokens and fetches the avatars they ask for.
#include <fstream>
#include <iterator>
#include <signal.h>

#include <CLI/CLI.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/signal_set.hpp>
#include <fmt/format.h>

#include "examples/xr-as/routes.hpp"
#include "http/server.hpp"

namespace {

using namespace avseal;

struct Options {
  http::ServerConfig server;
  std::string url;
  std::string dac_url;
  std::string mf_url;
  std::string nf_instance_id;
  std::string anchors;
  http::ClientConfig tls;
  std::string metadata_anchors;
  std::string metadata_crl;
  std::filesystem::path artifacts;
  std::size_t max_content = 64;  // MiB
  bool allow_no_ue_certificate = false;
  bool once = false;
  std::string signed_avatar_id;
  std::string ue_token;
  std::string application;
  std::string avatar;
  std::string session;
};

void say(std::string_view line) {
  fmt::print("xr-as: {}\n", line);
  std::fflush(stdout);
}

void say_step(const xr_as::Step& step) {
  say(fmt::format("{:8} {}: {}", step.passed ? "passed" : "REFUSED", step.name, step.detail));
}

int fail(const Error& error) {
  fmt::print(stderr, "avseal-example-xr-as: {} [{}]\n", error.detail, error.reason);
  return 1;
}

Result<std::string> read_file(const std::string& path) {
  std::ifstream in(path);
  std::string text{std::istreambuf_iterator<char>(in), {}};
  if (!in) return errors::make(Category::invalid, "file-unreadable", path + " cannot be read");
  return text;
}

Result<std::string> read_line(const std::string& path) {
  AVSEAL_TRY(std::string text, read_file(path));
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
  return text;
}

Result<xr_as::CallConfig> call_config(const Options& options) {
  AVSEAL_TRY(const std::string anchors, read_file(options.metadata_anchors));
  std::string crl;
  if (!options.metadata_crl.empty()) {
    AVSEAL_TRY(crl, read_file(options.metadata_crl));
  }
  AVSEAL_TRY(tokens::TrustAnchors metadata_anchors, tokens::TrustAnchors::create(anchors, crl));
  return xr_as::CallConfig{.authorization_url = options.url,
                           .dac_url = options.dac_url.empty() ? options.url : options.dac_url,
                           .nf_instance_id = options.nf_instance_id,
                           .mf_url = options.mf_url,
                           .tls = options.tls,
                           .metadata_anchors = std::move(metadata_anchors),
                           .max_content = options.max_content * 1024 * 1024,
                           .artifacts = options.artifacts};
}

// One call from files, without the UE's connection: its token is all there is.
Result<int> run_once(const Options& options) {
  AVSEAL_TRY(const xr_as::CallConfig config, call_config(options));
  boost::json::object json{{"application", options.application}, {"avatar", options.avatar}};
  AVSEAL_TRY(const std::string identity, read_line(options.signed_avatar_id));
  AVSEAL_TRY(const std::string ue_token, read_line(options.ue_token));
  json["signedAvatarId"] = identity;
  json["ueToken"] = ue_token;
  if (!options.session.empty()) json["session"] = options.session;
  AVSEAL_TRY(xr_as::CallRequest request, xr_as::parse_call_request(boost::json::serialize(json)));
  boost::asio::io_context context(1);
  bool accepted = false;
  boost::asio::co_spawn(context, xr_as::run_call(config, std::move(request), std::nullopt, false, say_step),
                        [&](const std::exception_ptr& failure, const xr_as::Verdict& verdict) {
                          accepted = !failure && !verdict.refusal;
                        });
  context.run();
  return accepted ? 0 : 1;
}

Result<int> serve(const Options& options) {
  AVSEAL_TRY(xr_as::CallConfig call, call_config(options));
  AVSEAL_TRY(auto nobody, http::ClientTable::create({}));
  http::Router router(nobody,
                      [](const http::Request&, const http::Route*, const Error& error) -> boost::asio::awaitable<void> {
                        say(fmt::format("REFUSED  request: {} [{}]", error.detail, error.reason));
                        co_return;
                      });
  xr_as::add_routes(
      router,
      std::make_shared<const xr_as::SessionsConfig>(xr_as::SessionsConfig{
          .call = std::move(call), .certificate_required = !options.allow_no_ue_certificate, .sink = say_step}));
  boost::asio::io_context context(1);
  prometheus::Registry metrics;
  AVSEAL_TRY(const auto server, http::Server::listen(options.server, {&context}, {&router}, metrics));
  boost::asio::signal_set signals(context, SIGTERM, SIGINT);
  signals.async_wait(
      [&](const boost::system::error_code&, int) { server->drain(std::chrono::seconds(2), [&] { context.stop(); }); });
  say(fmt::format("listening on https://{}:{}", options.server.address, server->port()));
  context.run();
  return 0;
}

void add_server_options(CLI::App& app, Options& options) {
  app.add_option("--address", options.server.address, "address to listen on for UEs")->capture_default_str();
  app.add_option("--port", options.server.port, "port; 0: any, printed at start")->capture_default_str();
  app.add_option("--ue-anchors", options.server.client_anchors, "CAs of UE certificates (PEM)");
  app.add_flag("--allow-no-ue-certificate", options.allow_no_ue_certificate,
               "take UE tokens also from connections without client certificate (curl); a certificate of another UE is "
               "refused all the same");
}

void add_call_options(CLI::App& app, Options& options) {
  app.add_option("--url", options.url, "avseald, authorization role: https://host:port")->required();
  app.add_option("--dac-url", options.dac_url, "avseald, DAC role; default: --url");
  app.add_option("--mf-url", options.mf_url, "the MF that gets the avatar; without it the call ends at the XR AS");
  app.add_option("--nf-instance-id", options.nf_instance_id, "our NF instance (UUID), as in our certificate")
      ->required();
  app.add_option("--cacert", options.tls.anchors, "CAs of the servers we call (PEM)")->required();
  app.add_option("--certificate", options.tls.certificate, "our TLS certificate, as client and server (PEM)")
      ->required();
  app.add_option("--key", options.tls.private_key, "its key (PEM)")->required();
  app.add_option("--metadata-anchors", options.metadata_anchors, "CAs of the signers of avatar metadata (PEM)")
      ->required();
  app.add_option("--metadata-crl", options.metadata_crl, "CRLs of those CAs (PEM)");
  app.add_option("--max-content", options.max_content, "largest avatar, in MiB: it is held in memory")
      ->capture_default_str();
  app.add_option("--artifacts", options.artifacts,
                 "directory for access-token.jwt, avatar-metadata.jwt, avatar-content.bin")
      ->check(CLI::ExistingDirectory);
}

void add_once_options(CLI::App& app, Options& options) {
  auto* once = app.add_flag("--once", options.once, "play one call from files, print each step, exit 0 if all passed");
  app.add_option("--signed-avatar-id", options.signed_avatar_id, "file with the Identity header value")->needs(once);
  app.add_option("--ue-token", options.ue_token, "file with the UE token")->needs(once);
  app.add_option("--application", options.application, "application id")->needs(once);
  app.add_option("--avatar", options.avatar, "Avatar-id")->needs(once);
  app.add_option("--session", options.session, "media session at the MF; made if not given")->needs(once);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{
      "avseal-example-xr-as: an XR AS (3GPP: DC AS)\n\n"
      "A UE posts {\"signedAvatarId\",\"ueToken\",\"application\",\"avatar\",\"session\"} to /sessions on a TLS "
      "connection\n"
      "with its UE certificate. The XR AS gets the access token, fetches the avatar, verifies it, hands it to the MF\n"
      "and answers with the verdict of each step."};
  app.name("avseal-example-xr-as");
  Options options;
  add_call_options(app, options);
  add_server_options(app, options);
  add_once_options(app, options);
  CLI11_PARSE(app, argc, argv);
  if (options.once) {
    const auto code = run_once(options);
    return code ? *code : fail(code.error());
  }
  if (options.server.client_anchors.empty()) {
    return fail(errors::make(Category::invalid, "ue-anchors-missing", "--ue-anchors is needed to serve UEs"));
  }
  options.server.certificate = options.tls.certificate;
  options.server.private_key = options.tls.private_key;
  options.server.ue_certificates = true;
  options.server.request_deadline = std::chrono::minutes(2);  // the whole call happens within one request
  options.tls.max_body = 64 * 1024;
  const auto code = serve(options);
  return code ? *code : fail(code.error());
}
