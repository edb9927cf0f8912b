#include <fstream>
#include <memory>

#include <boost/json.hpp>
#include <fmt/format.h>

#include "audit/export.hpp"
#include "cli/hsm_options.hpp"
#include "cli/ledger_commands.hpp"
#include "cli/ledger_input.hpp"
#include "cli/object_input.hpp"
#include "cli/progress_bar.hpp"
#include "tokens/base64.hpp"
#include "tokens/json.hpp"

namespace avseal::cli {
namespace {

struct Options {
  LedgerInput input;
  std::uint64_t from = 0;
  std::uint64_t to = 0;
  std::string year;
  std::vector<std::string> checkpoints;
  std::vector<std::string> certificates;
  std::string out;
};

Result<std::string> sign_manifest(const OperatorClient& service, const std::string& manifest) {
  const boost::json::object body{{"manifest", manifest}};
  AVSEAL_TRY(auto answer, service.call(http::Method::post, "/ledger/v1/manifests", boost::json::serialize(body)));
  return std::move(answer.body);
}

Result<audit::CertificateFile> read_certificate(const std::string& file) {
  AVSEAL_TRY(const auto pem, read_file(file));
  auto chain = tokens::Certificate::chain_from_pem(pem);
  if (chain) return audit::CertificateFile{file, std::move(*chain)};
  auto error = chain.error();
  error.detail = file + ": " + error.detail;
  return error;
}

// The chain that a node serves of its key's certificate; empty: it has none of that key.
Result<audit::Chain> served_certificate(const OperatorClient& service, const std::string& kid) {
  AVSEAL_TRY(const auto jwks, service.call(http::Method::get, "/.well-known/jwks.json"));
  AVSEAL_TRY(const auto document, tokens::parse_json(jwks.body));
  AVSEAL_TRY(auto members, tokens::ObjectReader::open(document));
  AVSEAL_TRY(const auto* keys, members.array("keys"));
  for (const auto& jwk : *keys) {
    AVSEAL_TRY(auto key, tokens::ObjectReader::open(jwk));
    AVSEAL_TRY(const auto thumbprint, key.string("kid"));
    AVSEAL_TRY(const auto x5t, key.optional_string("x5t#S256"));
    if (thumbprint != kid || !x5t) continue;
    AVSEAL_TRY(const auto fingerprint, tokens::Fingerprint::from_x5t(*x5t));
    const auto path = fmt::format("/certs/{}.pem", tokens::hex_encode(fingerprint.bytes()));
    AVSEAL_TRY(const auto chain, service.call(http::Method::get, path));
    return tokens::Certificate::chain_from_pem(chain.body);
  }
  return audit::Chain();
}

Result<void> write_manifest(const std::filesystem::path& file, const std::string& text) {
  std::ofstream out(file, std::ios::binary | std::ios::trunc);
  out << text;
  out.close();
  if (out) return {};
  return errors::make(Category::unavailable, "file-unwritable", fmt::format("cannot write {}", file.string()));
}

// The bar is gone before anything else is printed.
Result<audit::Exported> export_with_bar(const tlog::Source& source, const tlog::Policy& policy,
                                        const audit::ExportOptions& how) {
  ProgressBar bar("exporting", "bundles");
  const auto show = [&bar](std::uint64_t bundles, std::uint64_t all) { bar.show(bundles, all); };
  return audit::export_range(source, policy, how, show);
}

Result<void> export_log(const Options& options) {
  AVSEAL_TRY(const auto node, options.input.source());
  AVSEAL_TRY(const auto policy, options.input.trust.read());
  const auto closed = options.year.empty() ? nullptr : audit::closed_log(*node, options.year);
  const tlog::Source& source = closed ? *closed : *node;
  audit::ExportOptions how;
  how.from = options.from;
  how.to = options.to;
  how.directory = options.out;
  how.is_signed = !options.input.service.url.empty();
  how.patience = cosigning_patience;
  for (const auto& file : options.checkpoints) {
    AVSEAL_TRY(auto note, read_file(file));
    how.earlier.push_back(std::move(note));
  }
  for (const auto& file : options.certificates) {
    AVSEAL_TRY(auto certificate, read_certificate(file));
    how.certificates.push_back(std::move(certificate));
  }
  if (how.is_signed) {
    how.find_certificate = [&](const std::string& kid) { return served_certificate(options.input.service, kid); };
  }
  AVSEAL_TRY(auto exported, export_with_bar(source, policy, how));
  auto& manifest = exported.manifest;
  const auto digest = tokens::sha256(as_bytes(manifest));
  if (how.is_signed) {
    AVSEAL_TRY(manifest, sign_manifest(options.input.service, manifest));
  }
  AVSEAL_CHECK(write_manifest(how.directory / "manifest", manifest));
  for (const auto& key : exported.uncertified) {
    fmt::print(stderr, "note: no certificate of key {} was at hand: --certificate adds it\n", key);
  }
  fmt::print("{}: entries {} to {}, manifest {}SHA-256 {}\n", options.out, how.from, how.to - 1,
             how.is_signed ? "signed by the node, " : "", tokens::hex_encode(digest));
  return {};
}

}  // namespace

void add_ledger_export(CLI::App& ledger, int& exit_code) {
  const auto options = std::make_shared<Options>();
  auto* command = ledger.add_subcommand("export", "A range of a log as files that prove themselves, with a README");
  options->input.add_to(*command);
  command->add_option("--from", options->from, "index of the first entry")->required();
  command->add_option("--to", options->to, "index behind the last entry")->required();
  command->add_option("--log", options->year, "year of a closed log, instead of the current one");
  command
      ->add_option("--checkpoint", options->checkpoints,
                   "a checkpoint that you hold: goes along, with the proof that the log continues it; may be repeated")
      ->check(CLI::ExistingFile);
  command
      ->add_option("--certificate", options->certificates,
                   "PEM certificate, or chain, of a key that the entries name, or of the log's; may be repeated. With "
                   "--url, those that the node serves come by themselves")
      ->check(CLI::ExistingFile);
  command->add_option("--out", options->out, "directory to make")->required();
  command->footer(
      "Over HTTPS the node signs the manifest with the key of the log, and records the export. Check an export with\n"
      "`avseal ledger verify --export DIRECTORY`, or as its README says with openssl and coreutils.\n\n"
      "  avseal ledger export --url https://node --cacert ca.pem --cert me.pem --key me.key --vkey ledger.vkey \\\n"
      "      --from 0 --to 500 --out may\n"
      "  avseal ledger export /var/lib/avseal/ledger --vkey ledger.vkey --from 0 --to 500 --out may \\\n"
      "      --certificate avatar-id.pem --certificate ledger.pem");
  command->callback([options, &exit_code] {
    const auto done = export_log(*options);
    exit_code = done ? 0 : report(done.error());
  });
}

}  // namespace avseal::cli
