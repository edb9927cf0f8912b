// `avseal key`: keys are made, listed, certified and tested at a terminal, on the HSM; never over the network.
#include <memory>

#include <fmt/format.h>

#include "cli/commands.hpp"
#include "cli/hsm_options.hpp"
#include "cli/key_commands.hpp"
#include "cli/key_output.hpp"
#include "pkcs11/errors.hpp"
#include "pkcs11/keys.hpp"
#include "pkcs11/signing.hpp"
#include "pkcs11/wrapping.hpp"
#include "tokens/base64.hpp"
#include "tokens/certificate_request.hpp"
#include "tokens/digest.hpp"

namespace avseal::cli {

namespace {

using pkcs11::KeyDescription;
using pkcs11::Session;

Result<void> list(const KeyOptions& options) {
  AVSEAL_TRY(Session session, options.hsm.login(Session::Access::read_only));
  AVSEAL_TRY(const std::vector<KeyDescription> keys, pkcs11::list_keys(session));
  return write_output({}, options.json      ? keys_as_json(keys)
                          : options.explain ? keys_explained(keys)
                                            : keys_as_table(keys));
}

struct SigningKey {
  CK_OBJECT_HANDLE handle;
  tokens::PublicKey public_key;
};

Result<SigningKey> find_signing_key(Session& session, const std::string& label) {
  pkcs11::Uri uri;
  uri.text = label;
  uri.object = label;
  AVSEAL_TRY(const CK_OBJECT_HANDLE handle, pkcs11::find_private_key(session, uri));
  AVSEAL_TRY(const tokens::PublicKey key, pkcs11::read_public_key(session, handle));
  return SigningKey{handle, key};
}

// Signs and verifies: a public key object that is not the private key's is found here.
Result<Bytes> sign(Session& session, CK_OBJECT_HANDLE handle, const tokens::PublicKey& key, ByteView message) {
  AVSEAL_TRY(const CK_MECHANISM_TYPE mechanism, pkcs11::find_sign_mechanism(session, handle, key));
  AVSEAL_TRY(Bytes signature, pkcs11::sign(session, handle, mechanism, key.algorithm(), message));
  AVSEAL_CHECK(key.verify(message, signature));
  return signature;
}

Result<void> csr(const KeyOptions& options) {
  AVSEAL_TRY(Session session, options.hsm.login(Session::Access::read_only));
  AVSEAL_TRY(const SigningKey key, find_signing_key(session, options.label));
  AVSEAL_TRY(const Bytes info, build_request_info(key.public_key, options.request));
  AVSEAL_TRY(const Bytes signature, sign(session, key.handle, key.public_key, info));
  AVSEAL_TRY(const Bytes request, tokens::assemble_request(info, key.public_key, signature));
  return write_output(options.out, tokens::request_pem(request));
}

Result<void> public_key(const KeyOptions& options) {
  AVSEAL_TRY(Session session, options.hsm.login(Session::Access::read_only));
  AVSEAL_TRY(const SigningKey key, find_signing_key(session, options.label));
  return write_output(options.out, pem("PUBLIC KEY", key.public_key.spki()));
}

Result<void> test_one(Session& session, const KeyDescription& key) {
  const Bytes random = tokens::random_bytes(32);
  if (key.public_key) {
    AVSEAL_CHECK(sign(session, key.handle, *key.public_key, random));
    return {};
  }
  if (!key.type.starts_with("AES")) return pkcs11::errors::key_unsuitable(key.label, "neither EC P-256, P-384 nor AES");
  AVSEAL_TRY(const pkcs11::WrapForm form, pkcs11::choose_wrap_form(session, key.handle));
  AVSEAL_TRY(const Bytes wrapped, pkcs11::wrap(session, key.handle, form, random, as_bytes(key.label)));
  AVSEAL_TRY(const Secret back, pkcs11::unwrap(session, key.handle, wrapped, as_bytes(key.label)));
  if (back.equals(random)) return {};
  return pkcs11::errors::key_unsuitable(key.label, "it does not unwrap what it wrapped");
}

Result<void> self_test(const KeyOptions& options) {
  AVSEAL_TRY(Session session, options.hsm.login(Session::Access::read_only));
  AVSEAL_TRY(std::vector<KeyDescription> keys, pkcs11::list_keys(session));
  std::erase_if(keys, [&](const KeyDescription& key) { return !options.label.empty() && key.label != options.label; });
  if (keys.empty()) return pkcs11::errors::key_not_found(options.label.empty() ? "any key" : options.label);
  std::size_t failed = 0;
  for (const KeyDescription& key : keys) {
    const auto tested = test_one(session, key);
    if (!tested) ++failed;
    fmt::print("{:<24} {:<9} {}\n", key.label, key.type,
               tested ? (key.public_key ? "signs, verifies" : "wraps, unwraps") : "FAILED: " + tested.error().detail);
  }
  if (failed == 0) return {};
  return errors::make(Category::unavailable, "self-test-failed",
                      fmt::format("{} of {} keys failed", failed, keys.size()));
}

// A subcommand of `avseal key` that runs `action` with its own options.
CLI::App& add_command(CLI::App& parent, const std::string& name, const std::string& description,
                      const std::shared_ptr<KeyOptions>& options, Result<void> (*action)(const KeyOptions&),
                      int& exit_code) {
  CLI::App* command = parent.add_subcommand(name, description);
  options->hsm.add_to(*command);
  command->callback([options, action, &exit_code] {
    const auto done = action(*options);
    exit_code = done ? 0 : report(done.error());
  });
  return *command;
}

}  // namespace

void add_key(CLI::App& app, int& exit_code) {
  CLI::App& key = *app.add_subcommand("key", "make, list, certify and test keys on an HSM token");
  key.require_subcommand(1);

  auto options = std::make_shared<KeyOptions>();
  CLI::App& generating =
      add_command(key, "generate", "make a key that never leaves the HSM", options, generate_key, exit_code);
  options->act.add_to(generating);
  generating.add_option("--kind", options->kind, "avatar-id, avatar-metadata, access-token, ue-ca, ledger or dac-kek")
      ->required();
  generating.add_option("--label", options->label, "its label, not yet on the token")->required();
  generating.add_option("--id", options->id, "its CKA_ID in hex; random if not given");
  generating.add_option("--curve", options->curve, "of signing kinds")->check(CLI::IsMember({"P-256", "P-384"}));

  options = std::make_shared<KeyOptions>();
  CLI::App& listing =
      add_command(key, "list", "list private and secret keys with their attributes", options, list, exit_code);
  auto* json = listing.add_flag("--json", options->json, "as a JSON array, with every attribute");
  listing.add_flag("--explain", options->explain, "every attribute of each key, and what it means")->excludes(json);

  options = std::make_shared<KeyOptions>();
  CLI::App& requesting = add_command(key, "csr", "write a certificate request (PKCS#10, PEM)", options, csr, exit_code);
  requesting.add_option("--label", options->label, "label of the key")->required();
  requesting.add_option("--subject", options->request.common_name, "the subject's common name")->required();
  requesting.add_option("--san-uri", options->request.san_uris, "alternative name: URI");
  requesting.add_option("--san-dns", options->request.san_dns, "alternative name: DNS");
  requesting.add_option("--out", options->out, "file to write, else standard output");

  options = std::make_shared<KeyOptions>();
  CLI::App& showing =
      add_command(key, "public-key", "write the public key (SPKI, PEM)", options, public_key, exit_code);
  showing.add_option("--label", options->label, "label of the key")->required();
  showing.add_option("--out", options->out, "file to write, else standard output");

  options = std::make_shared<KeyOptions>();
  CLI::App& testing =
      add_command(key, "self-test", "sign and verify, wrap and unwrap with every key", options, self_test, exit_code);
  testing.add_option("--label", options->label, "only the key with this label");

  options = std::make_shared<KeyOptions>();
  CLI::App& importing = add_command(key, "import-certificate",
                                    "check the certificate chain of a key, put it on the token and into a file",
                                    options, import_certificate, exit_code);
  importing.add_option("--label", options->label, "label of the key")->required();
  importing.add_option("--kind", options->kind, "what the key is for: avatar-id, ...")->required();
  importing.add_option("--file", options->file, "the chain that the CA gave, PEM, leaf first")->required();
  importing.add_option("--out", options->out, "the file that [[keys]] of avseald.toml names; replaced as a whole");
  options->act.add_to(importing);

  options = std::make_shared<KeyOptions>();
  CLI::App& destroying = add_command(key, "destroy", "destroy a key for ever; its name must be typed at the terminal",
                                     options, destroy_key, exit_code);
  destroying.add_option("--label", options->label, "label of the key")->required();
  options->act.add_to(destroying);

  add_key_states(key, exit_code);
  key.footer(
      "The life of a key; each step explains its options with --help:\n"
      "  avseal key generate            it is made in the HSM and never leaves it\n"
      "  avseal key csr                 for the CA\n"
      "  avseal key import-certificate  what the CA gave; it must be the key's and suit its kind\n"
      "  avseal key stage               after it was added to tokend.toml and avseald.toml: the next key of its kind\n"
      "  avseal key activate            it signs from now on, and what the earlier key signed verifies on\n"
      "  avseal key retire              the earlier key, once nothing that it signed is valid any more\n"
      "  avseal key destroy             its name must be typed\n"
      "What changes the HSM or a node's keys is in the ledger, with who did it. \"Rotating a key\" in "
      "docs/operations.md has\n"
      "every command in full.");
}

}  // namespace avseal::cli
