#include <fstream>
#include <sstream>

#include <fmt/format.h>

#include "cli/key_commands.hpp"
#include "cli/key_output.hpp"
#include "keyring/certificate_rules.hpp"
#include "pkcs11/certificates.hpp"
#include "pkcs11/keys.hpp"

namespace avseal::cli {
namespace {

using pkcs11::Session;
using Chain = std::vector<tokens::Certificate>;

constexpr std::size_t max_file = 64 * 1024;

Result<std::string> read_chain(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  std::ostringstream text;
  if (!in || !(text << in.rdbuf()) || text.view().size() > max_file) {
    return errors::make(Category::invalid, "certificate-unreadable",
                        fmt::format("{}: expected a PEM file of at most 64 KiB", file));
  }
  return text.str();
}

Result<Chain> check_chain(const KeyOptions& options, const tokens::PublicKey& key) {
  keyring::KeyConfig config;
  config.name = options.label;
  AVSEAL_TRY(config.kind, keyring::parse_key_kind(options.kind));
  config.certificate = options.file;
  AVSEAL_TRY(const auto pem, read_chain(options.file));
  auto chain = tokens::Certificate::chain_from_pem(pem);
  if (!chain) {
    return errors::make(Category::invalid, "certificate-malformed",
                        fmt::format("{}: {}", options.file, chain.error().detail));
  }
  const auto& leaf = chain->front();
  if (!(leaf.public_key() == key)) {
    return errors::make(Category::invalid, "certificate-of-another-key",
                        fmt::format("the first certificate of {} is for the key with thumbprint {}, the key \"{}\" has "
                                    "{}; expected its own certificate, leaf first",
                                    options.file, leaf.public_key().thumbprint(), options.label, key.thumbprint()));
  }
  AVSEAL_CHECK(keyring::check_chain(config, *chain));
  const auto now = to_unix(system_clock_now());
  for (const auto& certificate : *chain) {
    AVSEAL_CHECK(keyring::check_validity(config, certificate, now));
  }
  AVSEAL_CHECK(keyring::check_suitable(config, leaf));
  return std::move(*chain);
}

// On the token if it takes certificates, and in the file if one is given; nowhere is an error.
Result<std::string> put(const KeyOptions& options, Session& session, const Chain& chain, ByteView id) {
  if (!options.out.empty()) {
    std::string pem;
    for (const auto& certificate : chain) pem += certificate.pem();
    AVSEAL_CHECK(replace_file(options.out, pem));
  }
  const auto stored = pkcs11::store_certificate(session, chain.front(), id, options.label);
  if (stored) return options.out.empty() ? std::string("token") : "token, " + options.out;
  if (options.out.empty()) return stored.error();
  fmt::print(stderr, "avseal: the token took no certificate, the file has it: {}\n", stored.error().detail);
  return options.out;
}

}  // namespace

Result<void> import_certificate(const KeyOptions& options) {
  AVSEAL_TRY(Session session, options.hsm.login(Session::Access::read_write));
  pkcs11::Uri uri;
  uri.text = options.label;
  uri.object = options.label;
  AVSEAL_TRY(const CK_OBJECT_HANDLE handle, pkcs11::find_private_key(session, uri));
  AVSEAL_TRY(const tokens::PublicKey key, pkcs11::read_public_key(session, handle));
  AVSEAL_TRY(const Bytes id, session.attribute(handle, CKA_ID));
  AVSEAL_TRY(const Chain chain, check_chain(options, key));
  const auto& leaf = chain.front();
  boost::json::object object = object_of(session.token(), options.label);
  object["certificate"] = leaf.sha256_hex();
  object["kind"] = options.kind;
  object["thumbprint"] = key.thumbprint();
  return perform(options.act, "key.import-certificate", std::move(object), [&]() -> Result<boost::json::object> {
    AVSEAL_TRY(const std::string where, put(options, session, chain, id));
    fmt::print("certificate of \"{}\" ({}): {}\n", options.label, leaf.subject(), where);
    return boost::json::object{{"where", where}};
  });
}

}  // namespace avseal::cli
