#include <algorithm>
#include <memory>

#include <fmt/format.h>

#include "cli/commands.hpp"
#include "cli/object_input.hpp"
#include "tokens/access_token.hpp"
#include "tokens/avatar_metadata.hpp"
#include "tokens/base64.hpp"
#include "tokens/identity_header.hpp"
#include "tokens/passport.hpp"
#include "tokens/ue_token.hpp"

namespace avseal::cli {
namespace {

constexpr std::size_t max_jws_size = 64 * 1024;
constexpr std::int64_t leeway = 5;

struct VerifyOptions {
  std::vector<std::string> files;
  std::string stir_anchors;
  std::string ue_anchors;
  std::string anchors;
  std::string signer_certificate;
  std::string key;
  UnixSeconds at = 0;
};

Error missing_option(const char* option, const char* what) {
  return errors::make(Category::invalid, "option-missing",
                      fmt::format("expected {} with {}, found none", what, option));
}

void print_signer(const tokens::Certificate& certificate) {
  fmt::print("  signer    {}, issued by {}\n", certificate.subject().empty() ? "(no subject)" : certificate.subject(),
             certificate.issuer());
  fmt::print("            {}\n", certificate.fingerprint().to_sdp());
  fmt::print("            {} to {}\n", time_text(certificate.not_before()), time_text(certificate.not_after()));
}

void print_signer(const tokens::PublicKey& key) {
  fmt::print("  signer    key {}\n", key.thumbprint());
}

Result<tokens::TrustAnchors> read_anchors(const std::string& path, const char* option, const char* what) {
  if (path.empty()) return missing_option(option, what);
  AVSEAL_TRY(const std::string pem, read_file(path));
  return tokens::TrustAnchors::create(pem);
}

Result<std::vector<tokens::Certificate>> read_signer(const VerifyOptions& options) {
  if (options.signer_certificate.empty()) {
    return missing_option("--signer-certificate", "the signer's certificate (or --key)");
  }
  AVSEAL_TRY(const std::string pem, read_file(options.signer_certificate));
  return tokens::Certificate::chain_from_pem(pem);
}

// The signer's certificate chain: what it is, whom it chains to.
Result<void> check_chain(const std::vector<tokens::Certificate>& chain, const tokens::TrustAnchors& anchors,
                         UnixSeconds at) {
  AVSEAL_CHECK(tokens::check_signer_usage(chain.front()));
  return anchors.verify(chain.front(), std::span(chain).subspan(1), at);
}

// RFC 8224 section 7.1: may this certificate speak for the number or domain?
Result<void> check_authority(const tokens::Certificate& certificate, const tokens::Identity& identity) {
  const auto& ranges = certificate.tn_auth_list();
  const auto& names = certificate.san_dns();
  const bool covered = identity.is_tn ? std::any_of(ranges.begin(), ranges.end(),
                                                    [&](const auto& r) { return r.contains(identity.value); })
                                      : std::find(names.begin(), names.end(), identity.impu().host()) != names.end();
  if (covered) return {};
  return errors::make(Category::invalid, "certificate-authority",
                      "expected a certificate for " + identity.value + ", found one for other numbers and domains");
}

Result<void> check_passport_parameters(const tokens::IdentityHeader& header, const tokens::ParsedPassport& parsed) {
  const auto* alg = parsed.jws.header.if_contains("alg");
  if (header.info != parsed.passport.x5u || header.ppt != parsed.passport.ppt || header.alg != alg->as_string()) {
    return errors::make(Category::invalid, "identity-header-mismatch",
                        "expected info, ppt and alg of the header as in the PASSporT, found others");
  }
  return {};
}

Result<void> verify_passport(const std::string& text, const VerifyOptions& options) {
  const bool in_header = text.find(';') != std::string::npos;
  tokens::IdentityHeader header;
  header.passport = text;
  if (in_header) {
    AVSEAL_TRY(header, tokens::parse_identity_header(text));
  }
  AVSEAL_TRY(const auto parsed, tokens::parse_passport(header.passport));
  const auto& passport = parsed.passport;
  fmt::print("  kind      {}\n", passport.ppt == "avatar" ? "signed Avatar-id" : "PASSporT " + passport.ppt);
  fmt::print("  says      {} calls", passport.orig.value);
  for (const auto& dest : passport.dest) fmt::print(" {}", dest.value);
  if (passport.avatar) fmt::print(" with avatar {} in {}", passport.avatar->id, passport.avatar->app);
  fmt::print("\n  issued    {}\n", time_text(passport.iat));
  if (in_header) {
    AVSEAL_CHECK(check_passport_parameters(header, parsed));
  }
  if (!options.key.empty()) {
    AVSEAL_TRY(const auto key, read_public_key(options.key));
    print_signer(key);
    return verify_jws(parsed.jws, key);
  }
  AVSEAL_TRY(const auto chain, read_signer(options));
  print_signer(chain.front());
  AVSEAL_TRY(const auto anchors,
             read_anchors(options.stir_anchors, "--stir-anchors", "anchors of signers of Avatar-ids"));
  // As of the call: a PASSporT is kept longer than its certificate lives.
  AVSEAL_CHECK(check_chain(chain, anchors, options.at != 0 ? options.at : passport.iat));
  AVSEAL_CHECK(check_authority(chain.front(), passport.div ? *passport.div : passport.orig));
  return verify_jws(parsed.jws, chain.front().public_key());
}

Result<void> verify_ue_token(const std::string& text, const VerifyOptions& options, UnixSeconds now) {
  AVSEAL_TRY(const auto token, tokens::parse_ue_token(text));
  const auto& claims = token.claims;
  fmt::print("  kind      UE token\n  says      {} allows {} avatar {} in {}\n", claims.sub.canonical(), claims.aud,
             claims.avatar_id, claims.app);
  fmt::print("  validity  {} to {}\n", time_text(claims.iat), time_text(claims.exp));
  print_signer(token.leaf);
  AVSEAL_CHECK(verify_ue_token_signature(token));
  AVSEAL_TRY(const auto anchors, read_anchors(options.ue_anchors, "--ue-anchors", "anchors of UE certificates"));
  AVSEAL_CHECK(anchors.verify(token.leaf, {}, now));
  const auto& uris = token.leaf.san_uris();
  if (!token.leaf.has_ue_eku() || uris.size() != 1 || uris.front() != claims.sub.canonical()) {
    return errors::make(Category::invalid, "ue-certificate-mismatch",
                        "expected a UE certificate of sub, found another certificate");
  }
  return check_ue_token_time(claims, now, leeway);
}

Result<void> verify_access_token(const std::string& text, const VerifyOptions& options, UnixSeconds now) {
  AVSEAL_TRY(const auto token, tokens::parse_access_token(text));
  const auto& claims = token.claims;
  fmt::print("  kind      access token\n  says      {} may {} avatar {} (version {}) at DAC {}\n", claims.client_id,
             fmt::join(claims.ops, ", "), claims.avatar_id, claims.version, claims.dac);
  fmt::print("  validity  {} to {}\n", time_text(claims.iat), time_text(claims.exp));
  if (!options.key.empty()) {
    AVSEAL_TRY(const auto key, read_public_key(options.key));
    print_signer(key);
    return tokens::verify_access_token(token, key, {}, now, leeway);
  }
  AVSEAL_TRY(const auto chain, read_signer(options));
  print_signer(chain.front());
  AVSEAL_TRY(const auto anchors, read_anchors(options.anchors, "--anchors", "anchors of the operator's signers"));
  AVSEAL_CHECK(check_chain(chain, anchors, now));
  return tokens::verify_access_token(token, chain.front().public_key(), {}, now, leeway);
}

Result<void> verify_metadata(const std::string& text, const VerifyOptions& options, UnixSeconds now) {
  AVSEAL_TRY(const auto parsed, tokens::parse_avatar_metadata(text));
  const auto& metadata = parsed.metadata;
  fmt::print("  kind      signed avatar metadata\n  says      avatar {} version {} of {}, {} of {} bytes, {}\n",
             metadata.id, metadata.version, metadata.owner.canonical(), metadata.content_type, metadata.content_size,
             metadata.content_digest);
  fmt::print("  validity  {} to {}\n", time_text(metadata.iat), time_text(metadata.exp));
  print_signer(parsed.x5c.front());
  AVSEAL_TRY(const auto anchors, read_anchors(options.anchors, "--anchors", "anchors of the operator's signers"));
  return tokens::verify_metadata(parsed, anchors, metadata.id, metadata.version, now, leeway);
}

// By typ; the verifiers check it again.
Result<void> verify_file(const std::string& file, const VerifyOptions& options) {
  AVSEAL_TRY(const std::string content, read_file(file));
  const std::string text = trimmed(content);
  AVSEAL_TRY(const auto jws, tokens::parse_jws(trimmed(text.substr(0, text.find(';'))), max_jws_size));
  const auto* typ = jws.header.if_contains("typ");
  const std::string_view kind =
      typ != nullptr && typ->is_string() ? std::string_view(typ->get_string()) : std::string_view();
  const UnixSeconds now = options.at != 0 ? options.at : to_unix(system_clock_now());
  if (kind == "passport") return verify_passport(text, options);
  if (kind == tokens::ue_token_typ) return verify_ue_token(text, options, now);
  if (kind == tokens::access_token_typ) return verify_access_token(text, options, now);
  if (kind == tokens::avatar_metadata_typ) return verify_metadata(text, options, now);
  return errors::make(Category::invalid, "kind-unknown",
                      "expected a signed Avatar-id, UE token, access token or avatar metadata, found another typ");
}

bool verify(const VerifyOptions& options) {
  bool all_valid = true;
  for (const std::string& file : options.files) {
    fmt::print("{}\n", file);
    if (const auto valid = verify_file(file, options); valid) {
      fmt::print("  verdict   valid\n");
    } else {
      fmt::print("  verdict   INVALID ({}): {}\n", valid.error().reason, valid.error().detail);
      all_valid = false;
    }
  }
  return all_valid;
}

}  // namespace

void add_verify(CLI::App& app, int& exit_code) {
  auto options = std::make_shared<VerifyOptions>();
  auto* command =
      app.add_subcommand("verify", "Verify signed Avatar-ids, UE tokens, access tokens and avatar metadata, offline");
  const auto file_option = [&](const char* name, std::string& value, const char* help) {
    command->add_option(name, value, help)->check(CLI::ExistingFile);
  };
  command->add_option("FILE", options->files, "files with one object each: an Identity header value or a compact JWS")
      ->required()
      ->check(CLI::ExistingFile);
  file_option("--stir-anchors", options->stir_anchors, "PEM CA certificates for signed Avatar-ids and other PASSporTs");
  file_option("--ue-anchors", options->ue_anchors, "PEM CA certificates for UE tokens");
  file_option("--anchors", options->anchors, "PEM CA certificates for avatar metadata and access tokens");
  file_option("--signer-certificate", options->signer_certificate,
              "PEM certificate chain of the signer, for PASSporTs (what x5u names) and access tokens");
  file_option(
      "--key", options->key,
      "signer's PEM public key, certificate or JWK instead: trusts it as it is, for PASSporTs and access tokens");
  command->add_option("--at", options->at, "verify as of this time (seconds since 1970) instead of now")
      ->check(CLI::PositiveNumber);
  command->footer(
      "The kind of each object is found by its typ. A PASSporT's certificate is checked as of the time the PASSporT "
      "was\n"
      "issued, everything else as of now; --at sets the time for all.\n"
      "Exit status: 0 if every object is valid, 1 otherwise.\n\n"
      "  avseal verify signed-avatar-id.txt --signer-certificate avatar-id.pem --stir-anchors stir-ca.pem\n"
      "  avseal verify avatar-metadata.jwt --anchors operator-ca.pem");
  command->callback([options, &exit_code] { exit_code = verify(*options) ? 0 : 1; });
}

}  // namespace avseal::cli
