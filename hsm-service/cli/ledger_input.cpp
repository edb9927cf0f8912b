#include "cli/ledger_input.hpp"

#include <fmt/format.h>

#include "cli/https_log.hpp"
#include "ledger/segment_files.hpp"

namespace avseal::cli {
namespace {

bool has_segments(const std::filesystem::path& directory) {
  std::error_code failed;
  std::filesystem::directory_iterator entries(directory, failed);
  for (; !failed && entries != std::filesystem::directory_iterator(); entries.increment(failed)) {
    if (entries->path().extension() == ".leaves") return true;
  }
  return false;
}

}  // namespace

void LedgerInput::add_to(CLI::App& command) {
  auto* path = command.add_option("DIRECTORY", directory,
                                  "the log's files: a node's directory, a closed year of it, an export, or a copy");
  path->check(CLI::ExistingDirectory);
  auto* url = service.add_to(command, OperatorClient::Need::anonymous);
  path->excludes(url);
  trust.add_to(command);
}

std::string LedgerInput::name() const {
  return directory.empty() ? service.url : directory;
}

Result<std::unique_ptr<tlog::Source>> LedgerInput::source() const {
  if (!directory.empty()) return tlog::open_directory(directory);
  if (service.url.empty()) {
    return errors::make(Category::invalid, "option-missing", "expected the log's DIRECTORY or --url, found neither");
  }
  return open_https_log({service.url, service.cacert, service.cert, service.key});
}

audit::SegmentReader LedgerInput::segments() const {
  if (directory.empty() || !has_segments(directory)) return {};
  return [path = directory](std::uint64_t published, const audit::SegmentSink& sink) -> Result<void> {
    const auto take = [&](const ledger::Batch& batch) {
      for (std::size_t i = 0; i < batch.leaves.size(); ++i) sink(batch.first_index + i, batch.leaves[i]);
    };
    const auto ignore = [](const std::string&, const ledger::SegmentEnd&, ByteView) -> Result<void> { return {}; };
    return ledger::read_segments(path, std::nullopt, published, take, ignore);
  };
}

}  // namespace avseal::cli
