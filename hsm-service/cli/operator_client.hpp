#pragma once

#include <string>

#include <CLI/CLI.hpp>

#include "http/client.hpp"

namespace avseal::cli {

// A running avseald as its operator speaks with it: the options of every command that does, and one exchange.
struct OperatorClient {
  std::string url;
  std::string cacert;
  std::string cert;
  std::string key;

  // `optional`: all of them or none. `anonymous`: any may be left out, for the caller knows better, or asks only for
  // what everybody may read.
  enum class Need { required, optional, anonymous };
  CLI::Option* add_to(CLI::App& command, Need need = Need::required);  // the option --url

  // The answer, whatever its status, or why there was none. Without `cert`, anonymously.
  [[nodiscard]] Result<http::ClientResponse> ask(http::Method method, std::string_view path,
                                                 std::string json = {}) const;
  // The answer, if its status is 2xx. Error "refused" with the problem's detail and retry_after, or why there was no
  // answer.
  [[nodiscard]] Result<http::ClientResponse> call(http::Method method, std::string_view path,
                                                  std::string json = {}) const;
};

}  // namespace avseal::cli
