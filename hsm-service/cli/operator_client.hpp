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

  void add_to(CLI::App& command);

  // The answer, if its status is 2xx. Error "refused" with the problem's detail, or why there was no answer.
  [[nodiscard]] Result<http::ClientResponse> call(http::Method method, std::string_view path,
                                                  std::string json = {}) const;
};

}  // namespace avseal::cli
