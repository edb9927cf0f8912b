#include "cli/drill_site.hpp"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <fstream>
#include <iterator>
#include <memory>
#include <unistd.h>

#include <fmt/format.h>

namespace avseal::cli {

namespace {

using faults::Facts;

Error no_site(const std::filesystem::path& directory, std::string_view why) {
  return errors::make(Category::invalid, "drill-site", fmt::format("{}: {}", directory.string(), why));
}

std::unique_ptr<Facts> read_facts(const std::filesystem::path& file) {
  auto facts = std::make_unique<Facts>();
  std::ifstream in(file, std::ios::binary);
  in.read(reinterpret_cast<char*>(facts.get()), sizeof(Facts));
  if (!in || facts->magic != faults::facts_magic) return nullptr;
  return facts;
}

std::uint64_t signatures(const Facts& facts) {
  for (const faults::CodeFacts& entry : facts.functions[static_cast<std::size_t>(faults::Function::C_Sign)].codes) {
    if (entry.code_plus_one == CKR_OK + 1) return entry.count;
  }
  return 0;
}

}  // namespace

Result<std::vector<DrillWorker>> DrillSite::workers() const {
  std::vector<DrillWorker> found;
  std::error_code failed;
  for (const auto& entry : std::filesystem::directory_iterator(faults_, failed)) {
    if (entry.path().extension() != ".facts") continue;
    const std::string stem = entry.path().stem();
    DrillWorker worker;
    std::from_chars(stem.data(), stem.data() + stem.size(), worker.pid);
    const auto facts = read_facts(entry.path());
    if (!facts || !std::filesystem::exists(fmt::format("/proc/{}", worker.pid))) continue;
    worker.token.assign(facts->token.data(), strnlen(facts->token.data(), facts->token.size()));
    worker.signatures = signatures(*facts);
    worker.injected = facts->injected;
    if (!worker.token.empty()) found.push_back(std::move(worker));
  }
  if (failed) return no_site(faults_, failed.message());
  std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.token < b.token; });
  return found;
}

std::optional<DrillWorker> DrillSite::worker(const std::string& token) const {
  const auto all = workers();
  if (!all) return std::nullopt;
  const auto found = std::find_if(all->begin(), all->end(), [&](const auto& worker) { return worker.token == token; });
  return found == all->end() ? std::nullopt : std::optional(*found);
}

std::uint64_t DrillSite::injected() const {
  std::uint64_t sum = 0;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(faults_, ignored)) {
    if (entry.path().extension() != ".facts") continue;
    if (const auto facts = read_facts(entry.path())) sum += facts->injected;
  }
  return sum;
}

Result<void> DrillSite::disturb(const std::vector<std::string>& rules, const std::string& token) {
  using namespace std::chrono;
  const auto until = system_clock::now().time_since_epoch() + minutes(2);
  std::string written;
  for (const std::string& rule : rules) {
    const std::string name = fmt::format("drill-{}-{}-{}", ::getpid(), until / 1ms, ++count_);
    written += fmt::format("{} {} token={} until={}\n", name, rule, token, until / 1ms);
  }
  return write(written);
}

void DrillSite::clear() {
  if (count_ != 0) (void)write({});
}

std::string DrillSite::complaint() const {
  std::ifstream in(faults_ / "rules.error");
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

Result<void> DrillSite::write(const std::string& rules) {
  const auto file = faults_ / "rules.new";
  std::ofstream out(file, std::ios::binary | std::ios::trunc);
  out << rules;
  out.close();
  std::error_code failed;
  if (out) std::filesystem::rename(file, faults_ / "rules", failed);
  if (!out || failed) return no_site(faults_, "its rules cannot be written");
  return {};
}

}  // namespace avseal::cli
