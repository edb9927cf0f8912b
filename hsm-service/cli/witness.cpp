#include <fstream>
#include <iterator>

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <fmt/format.h>

#include "cli/commands.hpp"
#include "cli/hsm_options.hpp"
#include "http/server.hpp"
#include "tlog/policy.hpp"
#include "witness/routes.hpp"

namespace avseal::cli {
namespace {

constexpr std::size_t max_file = 65536;

struct Options {
  std::string directory;
  std::string name;
  std::string logs;
  http::ServerConfig server;
};

std::filesystem::path key_file(const Options& options) {
  return std::filesystem::path(options.directory) / "witness.key";
}
std::filesystem::path vkey_file(const Options& options) {
  return std::filesystem::path(options.directory) / "witness.vkey";
}

Result<std::string> read_file(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  std::string text{std::istreambuf_iterator<char>(in), {}};
  if (in.bad() || !in.is_open() || text.size() > max_file) {
    return errors::make(Category::invalid, "file-unreadable",
                        fmt::format("{} cannot be read, or is larger than 64 KiB", file.string()));
  }
  return text;
}

Result<void> init(const Options& options) {
  std::error_code failed;
  std::filesystem::create_directories(options.directory, failed);
  if (failed) {
    return errors::make(Category::unavailable, "witness-state",
                        fmt::format("cannot make {}: {}", options.directory, failed.message()));
  }
  AVSEAL_TRY(const auto key, witness::SigningKey::make(key_file(options), options.name));
  std::ofstream out(vkey_file(options));
  out << key.key().text() << '\n';
  out.close();
  if (!out) {
    return errors::make(Category::unavailable, "witness-state",
                        fmt::format("cannot write {}", vkey_file(options).string()));
  }
  fmt::print("{}\n", key.key().text());
  return {};
}

Result<std::unique_ptr<witness::Witness>> open_witness(const Options& options) {
  AVSEAL_TRY(std::string text, read_file(vkey_file(options)));
  if (text.ends_with('\n')) text.pop_back();
  AVSEAL_TRY(const auto vkey, tlog::VerifierKey::parse(text));
  AVSEAL_TRY(auto key, witness::SigningKey::load(key_file(options), vkey.name()));
  if (key.key().text() != text) {
    return errors::make(
        Category::invalid, "witness-key",
        fmt::format("{} is not the key of {}", key_file(options).string(), vkey_file(options).string()));
  }
  AVSEAL_TRY(const std::string logs, read_file(options.logs));
  AVSEAL_TRY(auto policy, tlog::Policy::parse(logs));
  witness::Config config{options.directory, {}};
  for (auto& log : policy.logs) config.logs.push_back(std::move(log.key));
  return witness::Witness::open(std::move(config), std::move(key), system_clock_now);
}

Result<void> run(const Options& options) {
  AVSEAL_TRY(const auto witness, open_witness(options));
  AVSEAL_TRY(const auto nobody, http::ClientTable::create({}));
  http::Router router(
      nobody, [](const http::Request& request, const http::Route*, const Error& error) -> boost::asio::awaitable<void> {
        fmt::print(stderr, "refused {} {} [{}]: {}\n", request.peer_address, request.path, error.reason, error.detail);
        co_return;
      });
  witness::add_routes(router, *witness);
  boost::asio::io_context context(1);
  prometheus::Registry metrics;
  AVSEAL_TRY(const auto server, http::Server::listen(options.server, {&context}, {&router}, metrics));
  boost::asio::signal_set signals(context, SIGTERM, SIGINT);
  signals.async_wait(
      [&](const boost::system::error_code&, int) { server->drain(std::chrono::seconds(2), [&] { context.stop(); }); });
  fmt::print("witness {} listens on https://{}:{}\n", witness->key().name(), options.server.address, server->port());
  std::fflush(stdout);
  context.run();
  return {};
}

int exit_code_of(const Result<void>& done) {
  return done ? 0 : report(done.error());
}

}  // namespace

void add_witness(CLI::App& app, int& exit_code) {
  auto* witness = app.add_subcommand("witness", "cosign the checkpoints of other operators' ledgers");
  witness->require_subcommand(1);
  const auto options = std::make_shared<Options>();

  auto* init_command =
      witness->add_subcommand("init", "make a witness's key, and print the verifier key that others configure");
  init_command->add_option("--directory", options->directory, "of the witness: its key and what it cosigned")
      ->required();
  init_command->add_option("--name", options->name, "of the witness in its signatures: witness.operator.example")
      ->required();
  init_command->callback([options, &exit_code] { exit_code = exit_code_of(init(*options)); });

  auto* run_command = witness->add_subcommand("run", "serve add-checkpoint (C2SP tlog-witness) until SIGTERM");
  run_command->add_option("--directory", options->directory, "of the witness, made by init")
      ->required()
      ->check(CLI::ExistingDirectory);
  run_command
      ->add_option("--logs", options->logs,
                   "the logs it cosigns, in all their years: lines of a tlog-policy, log <vkey>, and quorum none")
      ->required()
      ->check(CLI::ExistingFile);
  run_command->add_option("--address", options->server.address, "address to listen on")->capture_default_str();
  run_command->add_option("--port", options->server.port, "port; 0: any, printed at start")->capture_default_str();
  run_command->add_option("--cert", options->server.certificate, "its TLS certificate (PEM chain)")->required();
  run_command->add_option("--key", options->server.private_key, "the certificate's key (PEM)")->required();
  run_command->callback([options, &exit_code] { exit_code = exit_code_of(run(*options)); });
}

}  // namespace avseal::cli
