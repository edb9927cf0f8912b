#include "cli/operator_client.hpp"

#include <algorithm>
#include <charconv>
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
  if (text == nullptr) return fmt::format("status {}", response.status);
  const auto* reason = object->if_contains("reason");
  const auto* code = reason == nullptr ? nullptr : reason->if_string();
  return fmt::format("status {}: {}{}", response.status, std::string_view(*text),
                     code == nullptr ? std::string() : fmt::format(" [{}]", std::string_view(*code)));
}

// Bounded, whatever the node says; 0: it does not ask for a repetition.
std::chrono::seconds retry_after(const http::ClientResponse& response) {
  const auto text = response.header("retry-after").value_or("");
  int seconds = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), seconds);
  return std::chrono::seconds{read.ec == std::errc{} ? std::clamp(seconds, 0, 10) : 0};
}

}  // namespace

CLI::Option* OperatorClient::add_to(CLI::App& command, Need need) {
  auto* option = command.add_option("--url", url, "base URL of avseald, https://host[:port]");
  option->required(need == Need::required);
  const auto add_file = [&](const std::string& name, std::string& file, const std::string& description) {
    return command.add_option(name, file, description)->check(CLI::ExistingFile);
  };
  auto* anchors = add_file("--cacert", cacert, "PEM certificates that avseald's TLS certificate chains to");
  auto* certificate = add_file("--cert", cert, "your client certificate (PEM)");
  auto* private_key = add_file("--key", key, "its private key (PEM)");
  if (need != Need::anonymous) {
    for (auto* file : {anchors, certificate, private_key}) {
      option->needs(file);
      file->needs(option);
    }
  }
  certificate->needs(private_key);
  private_key->needs(certificate);
  return option;
}

Result<http::ClientResponse> OperatorClient::ask(http::Method method, std::string_view path, std::string json) const {
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
  return std::move(*answer);
}

Result<http::ClientResponse> OperatorClient::call(http::Method method, std::string_view path, std::string json) const {
  AVSEAL_TRY(auto answer, ask(method, path, std::move(json)));
  if (answer.status / 100 == 2) return answer;
  Error error = errors::make(Category::forbidden, "refused", refusal(answer));
  error.retry_after = retry_after(answer);
  return error;
}

}  // namespace avseal::cli
