// avseal-example-mf: a media function that renders only what it verified itself.
#include <fstream>
#include <iterator>
#include <signal.h>

#include <CLI/CLI.hpp>
#include <boost/asio/signal_set.hpp>
#include <fmt/format.h>

#include "examples/mf/routes.hpp"
#include "http/server.hpp"

namespace {

using namespace avseal;

struct Options {
  http::ServerConfig server;
  std::string anchors;
  std::string crl;
  std::vector<std::string> clients;
  std::string expect;
  std::string expect_file;
  std::filesystem::path output;
};

void say(std::string_view line) {
  fmt::print("mf: {}\n", line);
  std::fflush(stdout);
}

int fail(const Error& error) {
  fmt::print(stderr, "avseal-example-mf: {} [{}]\n", error.detail, error.reason);
  return 1;
}

Result<std::string> read_file(const std::string& path) {
  std::ifstream in(path);
  std::string text{std::istreambuf_iterator<char>(in), {}};
  if (!in) return errors::make(Category::invalid, "file-unreadable", path + " cannot be read");
  return text;
}

// dns:NAME, uri:URI or sha256:HEX of the XR AS's TLS certificate.
Result<std::shared_ptr<const http::ClientTable>> client_table(const std::vector<std::string>& clients) {
  std::vector<http::ClientEntry> entries;
  for (const std::string& text : clients) {
    http::ClientEntry entry;
    entry.client.id = text;
    entry.client.role = http::ClientRole::xr_as;
    if (text.starts_with("dns:")) {
      entry.san_dns = text.substr(4);
    } else if (text.starts_with("uri:")) {
      entry.san_uri = text.substr(4);
    } else if (text.starts_with("sha256:")) {
      entry.sha256_hex = text.substr(7);
    } else {
      return errors::make(Category::invalid, "client-malformed",
                          "--xr-as takes dns:NAME, uri:URI or sha256:HEX, not " + text);
    }
    entries.push_back(std::move(entry));
  }
  return http::ClientTable::create(std::move(entries));
}

// Stands for a real renderer: writes the avatar to a file.
mf::Renderer renderer(const std::filesystem::path& output) {
  return [output](std::string_view session, const tokens::AvatarMetadata& metadata, ByteView content) -> Result<void> {
    say(fmt::format("RENDER   session {}: avatar {} version {}, {} bytes of {}", session, metadata.id, metadata.version,
                    content.size(), metadata.content_type));
    if (output.empty()) return {};
    std::ofstream out(output, std::ios::binary | std::ios::trunc);
    out.write(reinterpret_cast<const char*>(content.data()), static_cast<std::streamsize>(content.size()));
    if (!out.flush()) return errors::make(Category::internal, "render-failed", output.string() + " cannot be written");
    return {};
  };
}

Result<int> run(const Options& options) {
  AVSEAL_TRY(const std::string anchors_pem, read_file(options.anchors));
  std::string crl_pem;
  if (!options.crl.empty()) {
    AVSEAL_TRY(crl_pem, read_file(options.crl));
  }
  AVSEAL_TRY(tokens::TrustAnchors anchors, tokens::TrustAnchors::create(anchors_pem, crl_pem));
  mf::Expectations expectations = mf::Expectations::from_file(options.expect_file);
  if (!options.expect.empty()) {
    AVSEAL_TRY(expectations, mf::Expectations::from_option(options.expect));
  }
  AVSEAL_TRY(auto clients, client_table(options.clients));
  http::Router router(
      clients,
      [](const http::Request&, const http::Route*, const Error&) -> boost::asio::awaitable<void> { co_return; });
  mf::add_routes(router,
                 std::make_shared<mf::Receiver>(mf::ReceiverConfig{.anchors = std::move(anchors),
                                                                   .expectations = std::move(expectations),
                                                                   .renderer = renderer(options.output)}),
                 say);
  boost::asio::io_context context(1);
  prometheus::Registry metrics;
  AVSEAL_TRY(const auto server, http::Server::listen(options.server, {&context}, {&router}, metrics));
  boost::asio::signal_set signals(context, SIGTERM, SIGINT);
  signals.async_wait(
      [&](const boost::system::error_code&, int) { server->drain(std::chrono::seconds(2), [&] { context.stop(); }); });
  say(fmt::format("listening on https://{}:{}", options.server.address, server->port()));
  context.run();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{
      "avseal-example-mf: a media function that verifies avatars itself\n\n"
      "It takes signed avatar metadata and content from an XR AS (PUT /media/{session}/metadata, then .../content) "
      "and\n"
      "hands an avatar to its renderer only if the metadata is signed under --anchors, not expired, and for the\n"
      "avatar and version that the IMS AS announced, and the content is the one that was signed."};
  app.name("avseal-example-mf");
  Options options;
  app.add_option("--address", options.server.address, "address to listen on")->capture_default_str();
  app.add_option("--port", options.server.port, "port; 0: any, printed at start")->capture_default_str();
  app.add_option("--certificate", options.server.certificate, "TLS certificate chain (PEM)")->required();
  app.add_option("--key", options.server.private_key, "its key (PEM)")->required();
  app.add_option("--client-anchors", options.server.client_anchors, "CAs of TLS client certificates (PEM)")->required();
  app.add_option("--xr-as", options.clients, "an XR AS that may send: dns:NAME, uri:URI or sha256:HEX")->required();
  app.add_option("--anchors", options.anchors, "CAs of the signers of avatar metadata (PEM)")->required();
  app.add_option("--crl", options.crl, "CRLs of those CAs (PEM)");
  auto* expect = app.add_option("--expect", options.expect, "AVATAR-ID,MIN-VERSION that every session must show");
  auto* file = app.add_option("--expect-file", options.expect_file,
                              "file written by the IMS AS: {\"<session>\":{\"avatar\":\"<id>\",\"version\":N}}");
  expect->excludes(file);
  app.add_option("--output", options.output, "where the example renderer writes the avatar");
  CLI11_PARSE(app, argc, argv);
  if (options.expect.empty() && options.expect_file.empty()) {
    return fail(
        errors::make(Category::invalid, "expectation-missing",
                     "give --expect or --expect-file: an MF must not learn the expected avatar from the XR AS"));
  }
  const auto code = run(options);
  return code ? *code : fail(code.error());
}
