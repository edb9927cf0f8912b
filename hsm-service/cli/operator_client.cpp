#include "cli/operator_client.hpp"

#include <optional>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/json.hpp>
#include <fmt/format.h>

#include "tokens/json.hpp"

namespace avseal::cli {
namespace {

// The problem+json that was answered, in a line.
std::string refusal(const http::ClientResponse& response) {
  const auto body = tokens::parse_json(response.body);
  const auto* object = body ? body->if_object() : nullptr;
  const auto* detail = object == nullptr ? nullptr : object->if_contains("detail");
  const auto* text = detail == nullptr ? nullptr : detail->if_string();
  return text == nullptr ? fmt::format("status {}", response.status)
                         : fmt::format("status {}: {}", response.status, std::string_view(*text));
}

}  // namespace

void OperatorClient::add_to(CLI::App& command) {
  command.add_option("--url", url, "base URL of avseald, https://host[:port]")->required();
  command.add_option("--cacert", cacert, "PEM certificates that avseald's TLS certificate chains to")
      ->required()
      ->check(CLI::ExistingFile);
  command.add_option("--cert", cert, "operator's client certificate (PEM)")->required()->check(CLI::ExistingFile);
  command.add_option("--key", key, "its private key (PEM)")->required()->check(CLI::ExistingFile);
}

Result<http::ClientResponse> OperatorClient::call(http::Method method, std::string_view path, std::string json) const {
  http::ClientConfig config;
  config.anchors = cacert;
  config.certificate = cert;
  config.private_key = key;
  config.timeout = std::chrono::seconds(10);
  config.max_body = 4 * 1024 * 1024;  // metrics of many keys and clients
  auto target = url;
  while (target.ends_with('/')) target.pop_back();
  target += path;
  http::Headers headers;
  if (!json.empty()) headers.emplace_back("content-type", "application/json");

  boost::asio::io_context context;
  std::optional<Result<http::ClientResponse>> answer;
  auto exchange = http::fetch(config, method, std::move(target), std::move(headers), std::move(json));
  boost::asio::co_spawn(context, std::move(exchange),
                        [&answer](std::exception_ptr failure, Result<http::ClientResponse> got) {
                          if (!failure) answer = std::move(got);
                        });
  context.run();
  if (!answer) return errors::make(Category::internal, "fetch-failed", "the exchange ended without an answer");
  if (*answer && (*answer)->status / 100 != 2) {
    return errors::make(Category::forbidden, "refused", refusal(**answer));
  }
  return std::move(*answer);
}

}  // namespace avseal::cli
