#include "authorization/token_request.hpp"

#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "http/router.hpp"
#include "tokens/base64.hpp"
#include "tokens/digest.hpp"

namespace avseal::authorization {
namespace {

constexpr std::size_t max_members = 32;

using Form = std::map<std::string, std::string>;

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

Error malformed(std::string detail) {
  return errors::make(Category::bad_request, "form-malformed", std::move(detail));
}

Result<std::string> decode(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '+') {
      out.push_back(' ');
    } else if (c == '%') {
      const int high = i + 2 < text.size() ? hex_value(text[i + 1]) : -1;
      const int low = i + 2 < text.size() ? hex_value(text[i + 2]) : -1;
      if (high < 0 || low < 0) return malformed("expected two hex digits after '%'");
      out.push_back(static_cast<char>(high * 16 + low));
      i += 2;
    } else if (c > 0x20 && c < 0x7f) {
      out.push_back(c);
    } else {
      return malformed("expected percent-encoded ASCII");
    }
  }
  return out;
}

Result<std::string> member(const Form& form, const std::string& name) {
  const auto found = form.find(name);
  if (found == form.end() || found->second.empty()) {
    return errors::make(Category::bad_request, "form-member-missing",
                        fmt::format("expected the form member '{}'", name), name);
  }
  return found->second;
}

Result<void> check_grant_type(const Form& form) {
  AVSEAL_TRY(const auto grant_type, member(form, "grant_type"));
  if (grant_type != "client_credentials") {
    return errors::make(Category::invalid, "unsupported-grant-type",
                        "expected grant_type=client_credentials, found another value", "grant_type");
  }
  return {};
}

Error scope_invalid(std::string_view expected) {
  return errors::make(Category::invalid, "scope-invalid", fmt::format("expected the scope '{}'", expected), "scope");
}

Result<void> refuse_unknown(const Form& form, const std::set<std::string_view>& known) {
  for (const auto& [name, value] : form) {
    if (!known.contains(name)) {
      return errors::make(Category::bad_request, "form-member-unknown",
                          fmt::format("the form member '{}' is not known here", name), name);
    }
  }
  return {};
}

Result<TokenRequest> common_members(const Form& form, const http::Request& request, std::string scope) {
  TokenRequest out;
  out.scope = std::move(scope);
  AVSEAL_TRY(out.signed_avatar_id, member(form, "signed_avatar_id"));
  AVSEAL_TRY(out.ue_token, member(form, "ue_token"));
  AVSEAL_TRY(out.application_id, member(form, "application_id"));
  const std::string digested = request.path + "\n" + request.body;
  out.digest = tokens::base64url_encode(tokens::sha256(as_bytes(digested)));
  return out;
}

std::string_view oauth_error(const Error& error) {
  if (error.reason == "unsupported-grant-type") return "unsupported_grant_type";
  if (error.reason == "scope-invalid") return "invalid_scope";
  switch (error.category) {
    case Category::unauthenticated:
      return "invalid_client";
    case Category::forbidden:
      return "unauthorized_client";
    case Category::invalid:
    case Category::conflict:
      return "invalid_grant";
    default:
      return "invalid_request";
  }
}

http::Response token_error(const http::Request& request, const Error& error, bool capif) {
  const auto status = http::status_of(error.category);
  http::Response response = status >= 500 ? http::render_problem(request, error) : http::Response{};
  if (status < 500) {
    const auto code = oauth_error(error);
    std::string description = fmt::format("{}: {}", error.reason, error.detail);
    // RFC 6749 section 5.2: printable ASCII without quote and backslash.
    std::replace_if(
        description.begin(), description.end(), [](char c) { return c < 0x20 || c > 0x7e || c == '"' || c == '\\'; },
        '\'');
    const boost::json::object body{{"error", code}, {"error_description", description}};
    const bool keeps_status =
        status == 401 || status == 405 || status == 411 || status == 413 || status == 415 || status == 429;
    const bool as_401 = capif && code == "invalid_client";
    response = http::Response::json(
        as_401 ? 401 : (keeps_status && error.category != Category::unauthenticated ? status : 400), body);
    if (as_401) response.headers.emplace_back("www-authenticate", "Bearer realm=\"capif\"");
  }
  response.headers.emplace_back("cache-control", "no-store");
  response.headers.emplace_back("pragma", "no-cache");
  return response;
}

}  // namespace

Result<std::map<std::string, std::string>> parse_form(std::string_view body) {
  Form form;
  while (!body.empty()) {
    const auto end = body.find('&');
    const auto pair = body.substr(0, end);
    body = end == std::string_view::npos ? std::string_view{} : body.substr(end + 1);
    if (end != std::string_view::npos && body.empty()) return malformed("expected a member after '&'");
    const auto equals = pair.find('=');
    if (equals == std::string_view::npos || equals == 0) return malformed("expected name=value members");
    AVSEAL_TRY(auto name, decode(pair.substr(0, equals)));
    AVSEAL_TRY(auto value, decode(pair.substr(equals + 1)));
    if (!form.emplace(std::move(name), std::move(value)).second) return malformed("a member is there twice");
    if (form.size() > max_members) return malformed(fmt::format("more than {} members", max_members));
  }
  return form;
}

Result<TokenRequest> parse_nrf_request(const http::Request& request, const Config& config) {
  AVSEAL_TRY(const auto form, parse_form(request.body));
  static const std::set<std::string_view> known{"grant_type",
                                                "nfInstanceId",
                                                "scope",
                                                "nfType",
                                                "targetNfType",
                                                "targetNfInstanceId",
                                                "requesterPlmn",
                                                "requesterPlmnList",
                                                "requesterSnssaiList",
                                                "requesterFqdn",
                                                "requesterSnpnList",
                                                "targetPlmn",
                                                "targetSnpn",
                                                "targetSnssaiList",
                                                "targetNsiList",
                                                "targetNfSetId",
                                                "targetNfServiceSetId",
                                                "hnrfAccessTokenUri",
                                                "sourceNfInstanceId",
                                                "signed_avatar_id",
                                                "ue_token",
                                                "application_id"};
  AVSEAL_CHECK(refuse_unknown(form, known));
  AVSEAL_CHECK(check_grant_type(form));
  AVSEAL_TRY(const auto instance, member(form, "nfInstanceId"));
  const auto& names = request.peer->san_uris();
  const bool certified = std::find(names.begin(), names.end(), "urn:uuid:" + instance) != names.end();
  if (!certified || instance != request.client->nf_instance_id) {
    return errors::make(Category::unauthenticated, "nf-instance-mismatch",
                        fmt::format("nfInstanceId must be that of the client certificate, {}; found another",
                                    request.client->nf_instance_id),
                        "nfInstanceId");
  }
  AVSEAL_TRY(auto scope, member(form, "scope"));
  if (scope != config.service_name) return scope_invalid(config.service_name);
  if (const auto target = form.find("targetNfInstanceId");
      target != form.end() && target->second != config.dac_instance_id) {
    return errors::make(Category::bad_request, "target-invalid",
                        fmt::format("expected the DAC instance {}", config.dac_instance_id), "targetNfInstanceId");
  }
  return common_members(form, request, std::move(scope));
}

Result<TokenRequest> parse_capif_request(const http::Request& request, const Config& config) {
  if (config.capif_aef_id.empty()) {
    return errors::make(Category::not_found, "capif-off", "the CAPIF form is not configured on this node");
  }
  const auto security_id = request.parameters.find("securityId");
  if (security_id == request.parameters.end() || request.client->capif_security_id.empty() ||
      security_id->second != request.client->capif_security_id) {
    return errors::make(Category::not_found, "security-id-unknown", "this client has no such security context");
  }
  AVSEAL_TRY(const auto form, parse_form(request.body));
  static const std::set<std::string_view> known{"grant_type",       "client_id", "scope",
                                                "signed_avatar_id", "ue_token",  "application_id"};
  AVSEAL_CHECK(refuse_unknown(form, known));
  AVSEAL_CHECK(check_grant_type(form));
  AVSEAL_TRY(const auto client_id, member(form, "client_id"));
  if (client_id != request.client->id) {
    return errors::make(
        Category::unauthenticated, "client-id-mismatch",
        fmt::format("client_id must be that of the client certificate, '{}'; found another", request.client->id),
        "client_id");
  }
  auto expected = fmt::format("3gpp#{}:{}", config.capif_aef_id, config.service_name);
  if (const auto scope = form.find("scope"); scope != form.end() && scope->second != expected)
    return scope_invalid(expected);
  return common_members(form, request, std::move(expected));
}

http::Response nrf_error(const http::Request& request, const Error& error) {
  return token_error(request, error, false);
}
http::Response capif_error(const http::Request& request, const Error& error) {
  return token_error(request, error, true);
}

}  // namespace avseal::authorization
