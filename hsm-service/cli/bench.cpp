#include <cstdio>
#include <fstream>
#include <iterator>
#include <memory>

#include <boost/json.hpp>
#include <fmt/format.h>

#include "cli/bench_load.hpp"
#include "cli/bench_raw.hpp"
#include "cli/commands.hpp"

namespace avseal::cli {

namespace {

struct BenchOptions {
  LoadOptions load;
  RawBenchOptions raw;
  std::filesystem::path body_file;
  std::filesystem::path signing_template;
  unsigned seconds = 5;
  bool is_raw = false;
  bool as_json = false;
};

Result<std::string> read_text(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  std::string text{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  if (!in) return errors::make(Category::invalid, "bench-file", fmt::format("cannot read {}", file.string()));
  return text;
}

boost::json::object to_json(const LoadResult& result) {
  boost::json::object statuses;
  for (const auto& [status, count] : result.statuses) statuses[std::to_string(status)] = count;
  boost::json::object errors;
  for (const auto& [error, count] : result.errors) errors[error] = count;
  const LatencyHistogram& l = result.latencies;
  return {{"seconds", result.seconds},
          {"requests", l.count()},
          {"rate", static_cast<double>(l.count()) / result.seconds},
          {"latency_ms",
           {{"p50", l.percentile_ms(0.5)},
            {"p90", l.percentile_ms(0.9)},
            {"p99", l.percentile_ms(0.99)},
            {"p99.9", l.percentile_ms(0.999)}}},
          {"statuses", std::move(statuses)},
          {"errors", std::move(errors)}};
}

void print(const LoadResult& result, const LoadOptions& load) {
  const LatencyHistogram& l = result.latencies;
  fmt::print("{} {}: {} connections x {} streams, {:.0f} s\n", load.method, load.url + load.path, load.connections,
             load.streams, result.seconds);
  fmt::print("rate     {:.0f} requests/s ({} answered)\n", static_cast<double>(l.count()) / result.seconds, l.count());
  fmt::print("latency  p50 {:.3f} ms, p90 {:.3f} ms, p99 {:.3f} ms, p99.9 {:.3f} ms\n", l.percentile_ms(0.5),
             l.percentile_ms(0.9), l.percentile_ms(0.99), l.percentile_ms(0.999));
  for (const auto& [status, count] : result.statuses) fmt::print("status   {}: {}\n", status, count);
  for (const auto& [error, count] : result.errors) fmt::print("error    {}: {}\n", error, count);
  if (result.errors.empty()) fmt::print("errors   none\n");
}

Result<void> prepare(BenchOptions& options) {
  if (options.load.url.empty() || options.load.anchors.empty()) {
    return errors::make(Category::invalid, "bench-options", "--url and --cacert are needed (or --raw)");
  }
  options.load.duration = std::chrono::seconds(options.seconds);
  if (!options.signing_template.empty()) {
    AVSEAL_TRY(options.load.body, read_text(options.signing_template));
    options.load.fill_in = true;
    options.load.method = "POST";
    if (options.load.path.empty()) options.load.path = "/stir/v1/signing";
  } else if (!options.body_file.empty()) {
    AVSEAL_TRY(options.load.body, read_text(options.body_file));
  }
  return {};
}

// A rate of refusals is no success.
void count_refusals(LoadResult& result) {
  for (const auto& [status, count] : result.statuses) {
    if (status / 100 != 2) result.errors[fmt::format("status {}", status)] += count;
  }
}

int run(BenchOptions& options) {
  if (options.is_raw) {
    options.raw.seconds = options.seconds;
    return run_raw_bench(options.raw);
  }
  const auto prepared = prepare(options);
  auto result = prepared ? run_load(options.load) : Result<LoadResult>(prepared.error());
  if (!result) {
    fmt::print(stderr, "avseal bench: {}\n", result.error().detail);
    return 1;
  }
  count_refusals(*result);
  if (options.as_json) {
    fmt::print("{}\n", boost::json::serialize(to_json(*result)));
  } else {
    print(*result, options.load);
  }
  const bool failed = !result->errors.empty() || result->latencies.count() == 0;
  return failed ? 1 : 0;
}

}  // namespace

void add_bench(CLI::App& app, int& exit_code) {
  const auto options = std::make_shared<BenchOptions>();
  CLI::App* command =
      app.add_subcommand("bench", "Measure a running service over mTLS HTTP/2, or with --raw the token itself");
  LoadOptions& load = options->load;
  command->add_option("--url", load.url, "https://host:port of the service");
  command->add_option("--path", load.path, "Path of the request, if not in the URL");
  command->add_option("--method", load.method, "Method")->capture_default_str();
  command->add_option("--content-type", load.content_type, "Of the body")->capture_default_str();
  command->add_option("--body", options->body_file, "File with the request's body")->check(CLI::ExistingFile);
  command
      ->add_option("--signing", options->signing_template,
                   "Sign: file with a signing request, {{uuid}} and {{now}} filled in for each")
      ->check(CLI::ExistingFile);
  command->add_option("--cacert", load.anchors, "CA of the service's TLS certificate (PEM)")->check(CLI::ExistingFile);
  CLI::Option* certificate =
      command->add_option("--cert", load.certificate, "Client certificate (PEM)")->check(CLI::ExistingFile);
  CLI::Option* key = command->add_option("--key", load.private_key, "Its private key (PEM)")->check(CLI::ExistingFile);
  certificate->needs(key);
  command->add_option("--connections", load.connections, "Connections")
      ->check(CLI::Range(1, 10'000))
      ->capture_default_str();
  command->add_option("--streams", load.streams, "Requests in flight on each")
      ->check(CLI::Range(1, 100))
      ->capture_default_str();
  command->add_option("--threads", load.threads, "Threads of the generator")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  command->add_option("--seconds", options->seconds, "How long")->check(CLI::Range(1, 3600))->capture_default_str();
  command->add_flag("--json", options->as_json, "Print one JSON object");

  CLI::Option* raw = command->add_flag("--raw", options->is_raw, "Measure C_Sign of a token in this process instead");
  command->add_option("--module", options->raw.module, "PKCS#11 module (--raw)")->needs(raw);
  command->add_option("--token", options->raw.token, "RFC 7512 URI of the token or key (--raw)")->needs(raw);
  command->add_option("--label", options->raw.label, "Label of the key (--raw)")->needs(raw);
  command
      ->add_option("--pin-file", options->raw.pin_file,
                   "File with the PIN (--raw); asked for at the terminal without it")
      ->needs(raw);
  command->callback([options, &exit_code] { exit_code = run(*options); });
}

}  // namespace avseal::cli
