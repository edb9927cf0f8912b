#include "service/config_roles.hpp"

#include <algorithm>
#include <fstream>
#include <sstream>

#include <fmt/format.h>

#include "tokens/access_token.hpp"
#include "tokens/digest.hpp"

namespace avseal::service {
namespace {

constexpr std::int64_t day = 24 * 3600;

Result<std::string> uuid(TomlReader& reader, std::string_view key) {
  AVSEAL_TRY(auto value, reader.string(key));
  if (!tokens::is_uuid(value)) return reader.error_at(key, "expected a UUID in lower case");
  return value;
}

Result<tokens::TrustAnchors> anchors(TomlReader& reader, std::string_view key) {
  AVSEAL_TRY(const auto file, reader.path(key));
  std::ifstream in(file, std::ios::binary);
  std::ostringstream text;
  if (!in || !(text << in.rdbuf())) return reader.error_at(key, fmt::format("{} cannot be read", file.string()));
  auto out = tokens::TrustAnchors::create(text.str());
  if (!out) return reader.error_at(key, fmt::format("{}: {}", file.string(), out.error().detail));
  return out;
}

Result<void> read_signing(TomlReader reader, Config& out) {
  signing::Config role;
  role.public_url = out.public_url;
  AVSEAL_TRY(const auto freshness, reader.integer_or("freshness_seconds", role.freshness.count(), 1, 600));
  role.freshness = std::chrono::seconds{freshness};
  AVSEAL_TRY(role.trust.anchors, reader.path("stir_anchors"));
  AVSEAL_TRY(role.trust.crls, reader.path_or("stir_crls", {}));
  AVSEAL_TRY(role.trust.deny_list, reader.path_or("deny_list", {}));
  AVSEAL_TRY(role.fetcher.hosts, reader.strings_or("x5u_hosts", {}));
  AVSEAL_TRY(role.fetcher.internal_hosts, reader.strings_or("x5u_internal_hosts", {}));
  AVSEAL_TRY(role.fetcher.tls_anchors, reader.path_or("x5u_tls_anchors", {}));
  // A certificate that does not come is a verdict, which must be ready before the request's own deadline.
  role.fetcher.timeout = std::min(role.fetcher.timeout, out.server.request_deadline * 3 / 4);
  if (reader.has("subscription_source")) {
    AVSEAL_TRY(auto table, reader.table("subscription_source"));
    signing::HttpSourceConfig source;
    AVSEAL_TRY(source.url, table.string("url"));
    AVSEAL_TRY(source.tls_anchors, table.path("tls_anchors"));
    AVSEAL_TRY(source.certificate, table.path("certificate"));
    AVSEAL_TRY(source.private_key, table.path("private_key"));
    AVSEAL_TRY(const auto timeout, table.integer_or("timeout_ms", source.timeout.count(), 1, 60'000));
    source.timeout = std::chrono::milliseconds{timeout};
    AVSEAL_CHECK(table.finish());
    role.subscription_source = std::move(source);
  }
  out.signing = std::move(role);
  return reader.finish();
}

Result<void> read_authorization(TomlReader reader, Config& out) {
  authorization::Config role;
  AVSEAL_TRY(role.instance_id, uuid(reader, "instance_id"));
  AVSEAL_TRY(role.dac_instance_id, uuid(reader, "dac_instance_id"));
  AVSEAL_TRY(role.capif_aef_id, reader.string_or("capif_aef_id", {}));
  AVSEAL_TRY(role.ue_anchors, anchors(reader, "ue_anchors"));
  AVSEAL_TRY(role.accepted_issuers, reader.strings_or("accepted_issuers", {}));
  AVSEAL_TRY(role.signed_avatar_id_max_age,
             reader.integer_or("signed_avatar_id_max_age", role.signed_avatar_id_max_age, 1, day));
  AVSEAL_TRY(role.access_token_lifetime, reader.integer_or("access_token_lifetime", role.access_token_lifetime, 1,
                                                           tokens::access_token_max_lifetime));
  AVSEAL_TRY(role.require_accept, reader.boolean_or("require_accept", role.require_accept));
  AVSEAL_TRY(const auto policy, reader.path("policy"));
  AVSEAL_TRY(role.policy, authorization::Policy::load(policy));
  out.authorization = std::move(role);
  return reader.finish();
}

// One [[dac.issuers]]: an authorization role elsewhere, by the certificates of its access-token keys.
Result<dac::Issuer> read_issuer(TomlReader reader) {
  dac::Issuer issuer;
  AVSEAL_TRY(issuer.id, uuid(reader, "instance_id"));
  AVSEAL_TRY(const auto file, reader.path("certificates"));
  std::ifstream in(file, std::ios::binary);
  std::ostringstream text;
  if (!in || !(text << in.rdbuf()))
    return reader.error_at("certificates", fmt::format("{} cannot be read", file.string()));
  const auto chain = tokens::Certificate::chain_from_pem(text.str());
  if (!chain) return reader.error_at("certificates", fmt::format("{}: {}", file.string(), chain.error().detail));
  for (const auto& certificate : *chain) issuer.keys.push_back(certificate.public_key());
  AVSEAL_CHECK(reader.finish());
  return issuer;
}

Result<void> read_dac(TomlReader reader, Config& out) {
  dac::Config role;
  AVSEAL_TRY(role.instance_id, uuid(reader, "instance_id"));
  AVSEAL_TRY(role.directory, reader.path("directory"));
  AVSEAL_TRY(role.realm, reader.string_or("realm", role.realm));
  AVSEAL_TRY(role.scopes, reader.strings_or("scopes", role.scopes));
  AVSEAL_TRY(role.content_types, reader.strings_or("content_types", role.content_types));
  AVSEAL_TRY(role.metadata_max_lifetime,
             reader.integer_or("metadata_max_lifetime", role.metadata_max_lifetime, 60, day));
  AVSEAL_TRY(const auto most, reader.integer_or("max_content_bytes", static_cast<std::int64_t>(role.max_content_bytes),
                                                1, static_cast<std::int64_t>(role.max_content_bytes)));
  role.max_content_bytes = static_cast<std::uint64_t>(most);
  AVSEAL_TRY(auto issuers, reader.tables("issuers"));
  for (auto& table : issuers) {
    AVSEAL_TRY(auto issuer, read_issuer(std::move(table)));
    role.issuers.push_back(std::move(issuer));
  }
  out.dac = std::move(role);
  return reader.finish();
}

Result<enrollment::AttestationConfig::Maker> read_maker(TomlReader reader) {
  enrollment::AttestationConfig::Maker maker;
  AVSEAL_TRY(maker.name, reader.string("name"));
  AVSEAL_TRY(maker.signer, reader.path("signer"));
  AVSEAL_CHECK(reader.finish());
  return maker;
}

// Attested enrolment is on with a policy profile.
Result<enrollment::AttestationConfig> read_attestation(TomlReader& reader) {
  enrollment::AttestationConfig out;
  AVSEAL_TRY(out.profile, reader.path("profile"));
  AVSEAL_TRY(out.signer, reader.path("document_signer"));
  AVSEAL_TRY(out.documents.ek_anchors, reader.path("ek_anchors"));
  AVSEAL_TRY(out.documents.platform_anchors, reader.path_or("platform_anchors", {}));
  AVSEAL_TRY(out.documents.pcr_sets, reader.path_or("pcr_sets", {}));
  AVSEAL_TRY(out.evidence_directory, reader.path_or("evidence_directory", {}));
  AVSEAL_TRY(auto makers, reader.tables("makers"));
  for (auto& table : makers) {
    AVSEAL_TRY(auto maker, read_maker(std::move(table)));
    out.makers.push_back(std::move(maker));
  }
  return out;
}

Result<void> read_enrollment(TomlReader reader, Config& out) {
  enrollment::Config role;
  AVSEAL_TRY(const auto days, reader.integer_or("certificate_lifetime_days", role.certificate_lifetime / day, 1, 3650));
  role.certificate_lifetime = days * day;
  AVSEAL_TRY(role.code_lifetime, reader.integer_or("code_lifetime", role.code_lifetime, 60, role.max_code_lifetime));
  AVSEAL_TRY(const auto attempts, reader.integer_or("attempts_per_minute",
                                                    static_cast<std::int64_t>(role.attempts_per_minute), 1, 1'000'000));
  role.attempts_per_minute = static_cast<double>(attempts);
  role.burst = std::max(role.burst, static_cast<unsigned>(attempts / 6));
  role.server = out.public_url;
  if (reader.has("profile")) {
    AVSEAL_TRY(role.attestation, read_attestation(reader));
    AVSEAL_TRY(const auto challenges,
               reader.integer_or("max_challenges", static_cast<std::int64_t>(role.max_challenges), 1, 100'000));
    role.max_challenges = static_cast<std::size_t>(challenges);
  }
  out.enrollment = std::move(role);
  return reader.finish();
}

template <class Read>
Result<void> read_role(TomlReader& root, std::string_view name, Config& out, Read read) {
  if (!root.has(name)) return {};
  AVSEAL_TRY(auto table, root.table(name));
  return read(std::move(table), out);
}

}  // namespace

Result<void> read_roles(TomlReader& root, Config& out) {
  AVSEAL_CHECK(read_role(root, "signing", out, read_signing));
  AVSEAL_CHECK(read_role(root, "authorization", out, read_authorization));
  AVSEAL_CHECK(read_role(root, "dac", out, read_dac));
  AVSEAL_CHECK(read_role(root, "enrollment", out, read_enrollment));
  if (out.authorization && !out.signing) {
    return root.error_at("authorization", "needs [signing] on the same node: it verifies signed Avatar-ids there");
  }
  return {};
}

}  // namespace avseal::service
