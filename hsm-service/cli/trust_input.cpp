#include "cli/trust_input.hpp"

#include <filesystem>

#include "cli/object_input.hpp"

namespace avseal::cli {
namespace {

Result<tlog::VerifierKey> read_vkey(const std::string& file_or_text) {
  std::error_code failed;
  if (!std::filesystem::exists(file_or_text, failed)) return tlog::VerifierKey::parse(file_or_text);
  AVSEAL_TRY(const auto text, read_file(file_or_text));
  return tlog::VerifierKey::parse(trimmed(text));
}

}  // namespace

void TrustInput::add_to(CLI::App& command) {
  command.add_option("--vkey", vkeys, "the log's verifier key, or a file with it; may be repeated");
  command.add_option("--policy", policy, "tlog-policy file: logs, witnesses and their quorum")
      ->check(CLI::ExistingFile);
}

Result<tlog::Policy> TrustInput::read() const {
  tlog::Policy trusted;
  if (!policy.empty()) {
    AVSEAL_TRY(const auto text, read_file(policy));
    AVSEAL_TRY(trusted, tlog::Policy::parse(text));
  }
  for (const auto& vkey : vkeys) {
    AVSEAL_TRY(auto key, read_vkey(vkey));
    trusted.logs.push_back({std::move(key), {}});
  }
  if (!trusted.logs.empty()) return trusted;
  return errors::make(Category::invalid, "option-missing",
                      "expected --vkey or --policy: whom to believe that the log is the operator's");
}

}  // namespace avseal::cli
