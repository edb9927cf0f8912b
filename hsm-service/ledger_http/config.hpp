#pragma once

#include <filesystem>
#include <string>

namespace avseal::ledger_http {

struct Config {
  std::filesystem::path directory;  // of the ledger
  std::string origin;               // of the node, without a year
  bool open = false;                // everybody may read entries and proofs
};

}  // namespace avseal::ledger_http
