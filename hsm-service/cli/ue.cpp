#include <cstdio>
#include <memory>
#include <optional>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/json.hpp>
#include <fmt/format.h>

#include "cli/commands.hpp"
#include "http/client.hpp"
#include "tokens/fingerprint.hpp"
#include "tokens/json.hpp"

namespace avseal::cli {
namespace {

struct ServiceOptions {
  std::string url;
  std::string cacert;
  std::string cert;
  std::string key;
};

void add_service_options(CLI::App& command, ServiceOptions& options) {
  command.add_option("--url", options.url, "base URL of avseald, https://host[:port]")->required();
  command.add_option("--cacert", options.cacert, "PEM certificates that avseald's TLS certificate chains to")
      ->required()
      ->check(CLI::ExistingFile);
  command.add_option("--cert", options.cert, "operator's client certificate (PEM)")
      ->required()
      ->check(CLI::ExistingFile);
  command.add_option("--key", options.key, "its private key (PEM)")->required()->check(CLI::ExistingFile);
}

Result<http::ClientResponse> post(const ServiceOptions& options, std::string_view path, std::string body) {
  http::ClientConfig config;
  config.anchors = options.cacert;
  config.certificate = options.cert;
  config.private_key = options.key;
  config.timeout = std::chrono::seconds(10);
  auto url = options.url;
  while (url.ends_with('/')) url.pop_back();
  url += path;
  http::Headers headers;
  if (!body.empty()) headers.emplace_back("content-type", "application/json");

  boost::asio::io_context context;
  std::optional<Result<http::ClientResponse>> answer;
  auto exchange = http::fetch(config, http::Method::post, std::move(url), std::move(headers), std::move(body));
  boost::asio::co_spawn(context, std::move(exchange),
                        [&answer](std::exception_ptr failure, Result<http::ClientResponse> got) {
                          if (!failure) answer = std::move(got);
                        });
  context.run();
  if (answer) return std::move(*answer);
  return errors::make(Category::internal, "fetch-failed", "the exchange ended without an answer");
}

int complain(std::string_view what, std::string_view why) {
  fmt::print(stderr, "avseal ue: {}: {}\n", what, why);
  return 1;
}

// The problem+json that was answered, in a line.
std::string refusal(const http::ClientResponse& response) {
  const auto body = tokens::parse_json(response.body);
  const auto* object = body ? body->if_object() : nullptr;
  const auto* detail = object == nullptr ? nullptr : object->if_contains("detail");
  const auto* text = detail == nullptr ? nullptr : detail->if_string();
  return text == nullptr ? fmt::format("status {}", response.status)
                         : fmt::format("status {}: {}", response.status, std::string_view(*text));
}

int invite(const ServiceOptions& options, const std::string& impu, std::int64_t lifetime) {
  boost::json::object body{{"impu", impu}};
  if (lifetime != 0) body["lifetime"] = lifetime;
  const auto response = post(options, "/enrollment/v1/codes", boost::json::serialize(body));
  if (!response) return complain("cannot ask for a code", response.error().detail);
  if (response->status != 201) return complain("refused", refusal(*response));
  const auto answer = tokens::parse_json(response->body);
  const auto* code = answer && answer->is_object() ? answer->get_object().if_contains("code") : nullptr;
  if (code == nullptr || !code->is_string()) return complain("refused", "the answer holds no code");
  fmt::print("{}\n", std::string_view(code->get_string()));
  return 0;
}

int revoke(const ServiceOptions& options, const std::string& x5t) {
  const auto fingerprint = tokens::Fingerprint::from_x5t(x5t);
  if (!fingerprint) return complain("--x5t", fingerprint.error().detail);
  const auto response = post(options, fmt::format("/enrollment/v1/devices/{}/revoke", x5t), {});
  if (!response) return complain("cannot revoke", response.error().detail);
  if (response->status != 204) return complain("refused", refusal(*response));
  return 0;
}

}  // namespace

void add_ue(CLI::App& app, int& exit_code) {
  auto* ue = app.add_subcommand("ue", "UE certificates: enrolment codes and revocation");
  ue->require_subcommand(1);

  struct Options {
    ServiceOptions service;
    std::string impu;
    std::int64_t lifetime = 0;
    std::string x5t;
  };
  const auto options = std::make_shared<Options>();

  auto* invite_command = ue->add_subcommand("invite", "issue a single-use enrolment code and print it, once");
  add_service_options(*invite_command, options->service);
  invite_command->add_option("--impu", options->impu, "the identity that the UE will be certified for")->required();
  invite_command->add_option("--lifetime", options->lifetime, "seconds that the code can be used")
      ->check(CLI::PositiveNumber);
  invite_command->callback(
      [options, &exit_code] { exit_code = invite(options->service, options->impu, options->lifetime); });

  auto* revoke_command = ue->add_subcommand("revoke", "revoke a UE certificate at once");
  add_service_options(*revoke_command, options->service);
  revoke_command->add_option("--x5t", options->x5t, "base64url SHA-256 of the certificate")->required();
  revoke_command->callback([options, &exit_code] { exit_code = revoke(options->service, options->x5t); });
}

}  // namespace avseal::cli
