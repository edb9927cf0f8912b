// What it costs to verify a log, with leaves as a node writes them: avseal ledger verify does the same.
//   bench_audit                                 leaves and bundles in memory
//   bench_audit --make DIRECTORY LEAVES         writes a log of so many leaves and its verifier key, `vkey`
//   bench_audit --verify DIRECTORY THREADS      verifies it
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <string_view>

#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include "../unit/audit/log_files.hpp"
#include "audit/verify.hpp"
#include "tokens/base64.hpp"

using namespace avseal;
using namespace avseal::audit;

namespace {

constexpr std::string_view origin = "bench.example/node-1/2026";
constexpr unsigned workers = 2;
constexpr std::int64_t start_time = 1'767'225'600'000;

std::string random_text(std::size_t bytes) {
  return tokens::base64url_encode(tokens::random_bytes(bytes));
}

// Leaves of a node that signs for calls: about 700 bytes each.
class Leaves {
 public:
  std::string next() {
    const auto index = index_++;
    const auto time = start_time + static_cast<std::int64_t>(index / 3);
    if (index == 0) {
      return fmt::format(R"({{"details":{{"origin":"bench.example/node-1"}},"event":"ledger.start","index":0,)"
                         R"("outcome":"released","time":{}}})",
                         time);
    }
    if (index == 1) {
      return fmt::format(
          R"({{"details":{{"keys":[{{"key":"avatar-id","kid":"{}","kind":"avatar-id","state":"active"}}],)"
          R"("unlogged_limit":8256}},"event":"keys.loaded","index":1,"outcome":"released","time":{}}})",
          kid_, time);
    }
    const auto worker = index % workers;
    return fmt::format(
        R"({{"actor":"{}","client":"ims-as-1","details":{{"app":"xr-meeting","avatar":"urn:uuid:{}","origid":"{}"}},)"
        R"("event":"sign.avatar-id","id":"{}","index":{},"keys":[{{"digest":"{}","key":"avatar-id","kid":"{}",)"
        R"("outcome":"signed","sequence":{},"worker":"{}"}}],"outcome":"released","request":"{}",)"
        R"("subjects":{{"dest":["{}"],"orig":["{}"]}},"time":{}}})",
        actor_, uuid_, uuid_, id_, index, digest_, kid_, ++sequences_[worker], names_[worker], uuid_, digest_, digest_,
        time);
  }

 private:
  std::uint64_t index_ = 0;
  std::uint64_t sequences_[workers] = {};
  const std::string names_[workers] = {random_text(16), random_text(16)};
  const std::string kid_ = random_text(32);
  const std::string actor_ = random_text(32);
  const std::string digest_ = random_text(32);
  const std::string id_ = random_text(16);
  const std::string uuid_ = tokens::random_uuid();
};

std::vector<std::string> some_leaves(std::size_t count) {
  Leaves make;
  std::vector<std::string> leaves;
  for (std::size_t i = 0; i < count; ++i) leaves.push_back(make.next());
  return leaves;
}

void report_rate(benchmark::State& state, const std::vector<std::string>& leaves) {
  std::int64_t bytes = 0;
  for (const auto& leaf : leaves) bytes += static_cast<std::int64_t>(leaf.size());
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(leaves.size()));
  state.SetBytesProcessed(state.iterations() * bytes);
}

void read_leaves(benchmark::State& state) {
  const auto leaves = some_leaves(256);
  std::vector<ByteView> views;
  for (const auto& leaf : leaves) views.push_back(as_bytes(leaf));
  Leaf memory;
  for (auto _ : state) benchmark::DoNotOptimize(facts_of(views, 0, memory));
  report_rate(state, leaves);
}
BENCHMARK(read_leaves);

void hash_leaves(benchmark::State& state) {
  const auto leaves = some_leaves(256);
  for (auto _ : state) {
    std::vector<tlog::Hash> hashes;
    for (const auto& leaf : leaves) hashes.push_back(tlog::leaf_hash(as_bytes(leaf)));
    benchmark::DoNotOptimize(tlog::root_of_leaves(hashes));
  }
  report_rate(state, leaves);
}
BENCHMARK(hash_leaves);

int make_log(const std::filesystem::path& directory, std::uint64_t size) {
  const test::SoftwareKey key;
  test::LogFiles files(directory, std::string(origin), key);
  Leaves leaves;
  for (std::uint64_t i = 0; i < size; ++i) files.add(as_bytes(leaves.next()));
  files.publish();
  std::ofstream(directory / "vkey") << key.verifier(std::string(origin)).text() << '\n';
  return 0;
}

int verify_log(const std::filesystem::path& directory, unsigned threads) {
  std::string vkey;
  std::ifstream(directory / "vkey") >> vkey;
  const auto trust = Trust::of_keys({tlog::VerifierKey::parse(vkey).value()});
  const auto source = tlog::open_directory(directory);
  VerifyOptions options;
  options.threads = threads;
  Verdict verdict;
  const auto begun = std::chrono::steady_clock::now();
  const auto verified = verify(*source, trust, options, verdict);
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begun;
  if (!verified || !verdict.good()) return 1;
  fmt::print("{} leaves good in {:.1f} s with {} threads: {:.0f} k/s\n", verified->read, seconds.count(), threads,
             static_cast<double>(verified->read) / seconds.count() / 1000);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 4 && std::string_view(argv[1]) == "--make") return make_log(argv[2], std::strtoull(argv[3], nullptr, 10));
  if (argc == 4 && std::string_view(argv[1]) == "--verify") {
    return verify_log(argv[2], static_cast<unsigned>(std::strtoul(argv[3], nullptr, 10)));
  }
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
