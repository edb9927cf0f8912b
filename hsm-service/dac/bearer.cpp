#include "dac/bearer.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "http/router.hpp"

namespace avseal::dac {
namespace {

constexpr std::string_view urn_uuid = "urn:uuid:";
constexpr std::string_view param = "header Authorization";
constexpr std::string_view missing = "access-token-missing";

Error refuse(Category category, std::string_view reason, std::string detail) {
  return errors::make(category, reason, std::move(detail), std::string(param));
}

Result<std::string_view> bearer_token(const http::Request& request) {
  const auto header = request.header("authorization");
  if (!header)
    return refuse(Category::unauthenticated, missing, "expected Authorization: Bearer <access token>, found none");
  const auto space = header->find(' ');
  std::string scheme(header->substr(0, space));
  std::transform(scheme.begin(), scheme.end(), scheme.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  if (space == std::string_view::npos || scheme != "bearer" || space + 1 == header->size())
    return refuse(Category::bad_request, "authorization-malformed", "expected Authorization: Bearer <access token>");
  return header->substr(space + 1);
}

// The NF instance of the caller, which its certificate and the client table must both name.
Result<std::string> nf_instance(const http::Request& request) {
  if (!request.peer || request.client == nullptr)
    return refuse(Category::unauthenticated, missing, "expected a TLS client certificate of an XR AS");
  const auto& expected = request.client->nf_instance_id;
  const auto& uris = request.peer->san_uris();
  const bool named = std::any_of(uris.begin(), uris.end(), [&](const std::string& uri) {
    return uri.starts_with(urn_uuid) && uri.substr(urn_uuid.size()) == expected;
  });
  if (expected.empty() || !named)
    return refuse(
        Category::forbidden, "client-nf-instance",
        fmt::format("expected a client certificate with SAN {}{}, as the client table says", urn_uuid, expected));
  return expected;
}

Result<const tokens::PublicKey*> issuer_key(const Config& config, const tokens::AccessToken& token) {
  for (const auto& issuer : config.issuers) {
    if (issuer.id != token.claims.iss) continue;
    for (const auto& key : issuer.keys)
      if (key.thumbprint() == token.kid) return &key;
  }
  return refuse(Category::unauthenticated, "access-token-issuer",
                "issuer and key id of the access token are not those of an accepted issuer");
}

// The accepted scope that is among the token's, or one that is not. There is at least one.
std::string scope_of(const Config& config, std::string_view presented) {
  const auto padded = fmt::format(" {} ", presented);
  for (const auto& scope : config.scopes)
    if (padded.find(fmt::format(" {} ", scope)) != std::string::npos) return scope;
  return config.scopes.front();
}

Error of_bearer(Error error) {
  const bool out_of_scope = error.reason == "access-token-scope" || error.reason == "access-token-avatar" ||
                            error.reason == "access-token-operation";
  error.category = out_of_scope ? Category::forbidden : Category::unauthenticated;
  error.param = param;
  return error;
}

}  // namespace

Result<tokens::AccessTokenClaims> check_bearer(const Config& config, const http::Request& request,
                                               std::string_view avatar_id, UnixSeconds now) {
  AVSEAL_TRY(const auto compact, bearer_token(request));
  AVSEAL_TRY(auto instance, nf_instance(request));
  if (config.scopes.empty())
    return refuse(Category::forbidden, "access-token-scope", "this DAC is configured to accept no scope");
  auto token = tokens::parse_access_token(compact);
  if (!token) return of_bearer(token.error());
  AVSEAL_TRY(const auto* key, issuer_key(config, *token));

  tokens::AccessTokenExpectation expected;
  expected.issuer = token->claims.iss;
  expected.audience = config.instance_id;
  expected.scope = scope_of(config, token->claims.scope);
  expected.avatar_id = avatar_id;
  expected.operation = "read";
  expected.client_x5t = request.peer->fingerprint().to_x5t();
  expected.client_nf_instance_id = std::move(instance);
  const auto verified = tokens::verify_access_token(*token, *key, expected, now);
  if (!verified) return of_bearer(verified.error());
  return std::move(token->claims);
}

Error token_ahead(std::int64_t token_version, std::int64_t current) {
  return refuse(Category::unauthenticated, "access-token-version",
                fmt::format("granted for version {}, this DAC has version {}", token_version, current));
}

http::Response challenge(const Config& config, const http::Request& request, const Error& error) {
  auto response = http::render_problem(request, error);
  auto value = fmt::format("Bearer realm=\"{}\"", config.realm);
  if (error.param == param && error.reason != missing) {
    if (error.category == Category::forbidden)
      value += fmt::format(", error=\"insufficient_scope\", scope=\"{}\"", fmt::join(config.scopes, " "));
    else
      value += error.category == Category::bad_request ? ", error=\"invalid_request\"" : ", error=\"invalid_token\"";
    value += fmt::format(", error_description=\"{}\"", error.reason);
  }
  if (response.status == 400 || response.status == 401 || response.status == 403)
    response.headers.emplace_back("www-authenticate", std::move(value));
  return response;
}

}  // namespace avseal::dac
