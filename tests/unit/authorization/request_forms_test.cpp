// The two forms of a token request: what they take, and each thing that they refuse.
#include <fmt/format.h>

#include "../dac/support.hpp"
#include "authorization/token_request.hpp"

namespace avseal::authorization {
namespace {

constexpr const char* instance = "33333333-3333-4333-8333-333333333333";
constexpr const char* dac = "11111111-1111-4111-8111-111111111111";

using Members = std::map<std::string, std::string>;

class RequestForm : public testing::Test {
 protected:
  RequestForm() {
    config.dac_instance_id = dac;
    config.capif_aef_id = "aef-1";
    client.id = "xr-as-1";
    client.nf_instance_id = instance;
    client.capif_security_id = "sec-1";
    request.client = &client;
    request.peer = tls.leaf("xr-as", test::make_key(), std::string("URI:urn:uuid:") + instance);
    request.path = "/oauth2/token";
    request.parameters["securityId"] = "sec-1";
  }

  static Members extension() {
    return {{"signed_avatar_id", "h.p.s"}, {"ue_token", "a.b.c"}, {"application_id", "xr-meeting"}};
  }
  static Members with(Members form, const Members& changes) {
    for (const auto& [name, value] : changes) {
      if (value == "(none)") {
        form.erase(name);
      } else {
        form[name] = value;
      }
    }
    return form;
  }
  static std::string encode(const Members& form) {
    std::string out;
    for (const auto& [name, value] : form) {
      out += (out.empty() ? "" : "&") + name + "=";
      for (const char c : value) out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
    return out;
  }

  Result<TokenRequest> nrf(const Members& changes = {}) {
    const Members good =
        with(extension(), {{"grant_type", "client_credentials"}, {"nfInstanceId", instance}, {"scope", "ndac-avatar"}});
    request.body = encode(with(good, changes));
    return parse_nrf_request(request, config);
  }
  Result<TokenRequest> capif(const Members& changes = {}) {
    const Members good =
        with(extension(),
             {{"grant_type", "client_credentials"}, {"client_id", "xr-as-1"}, {"scope", "3gpp#aef-1:ndac-avatar"}});
    request.body = encode(with(good, changes));
    return parse_capif_request(request, config);
  }

  test::Authority tls{"tls"};
  Config config;
  http::Client client;
  http::Request request;
};

std::string reason_of(const Result<TokenRequest>& parsed) {
  return parsed ? "taken" : std::string(parsed.error().reason);
}

TEST_F(RequestForm, NrfMembersAreTaken) {
  const auto parsed = nrf();
  ASSERT_TRUE(parsed) << parsed.error().detail;
  EXPECT_EQ(parsed->scope, "ndac-avatar");
  EXPECT_EQ(parsed->signed_avatar_id, "h.p.s");
  EXPECT_EQ(parsed->ue_token, "a.b.c");
  EXPECT_EQ(parsed->application_id, "xr-meeting");
  EXPECT_EQ(reason_of(nrf({{"nfType", "AF"}, {"targetNfType", "DCSF"}, {"targetNfInstanceId", dac}})), "taken");
}

TEST_F(RequestForm, NrfRefusals) {
  for (const char* name : {"grant_type", "nfInstanceId", "scope", "signed_avatar_id", "ue_token", "application_id"}) {
    for (const char* value : {"(none)", ""}) {
      const auto refused = nrf({{name, value}});
      EXPECT_EQ(reason_of(refused), "form-member-missing") << name;
      EXPECT_EQ(refused.error().param, name);
    }
  }
  EXPECT_EQ(reason_of(nrf({{"grant_type", "password"}})), "unsupported-grant-type");
  EXPECT_EQ(reason_of(nrf({{"nfInstanceId", dac}})), "nf-instance-mismatch");
  EXPECT_EQ(nrf({{"nfInstanceId", dac}}).error().category, Category::unauthenticated);
  EXPECT_EQ(reason_of(nrf({{"scope", "ndac-avatar nudm-sdm"}})), "scope-invalid");
  EXPECT_EQ(reason_of(nrf({{"targetNfInstanceId", instance}})), "target-invalid");
  EXPECT_EQ(reason_of(nrf({{"client_id", "xr-as-1"}})), "form-member-unknown");
  EXPECT_EQ(reason_of(nrf({{"audience", "x"}})), "form-member-unknown");
}

TEST_F(RequestForm, TheNfInstanceMustBeInTheCertificateAndInTheTable) {
  request.peer = tls.leaf("xr-as", test::make_key(), "DNS:xr-as.a.example");
  EXPECT_EQ(reason_of(nrf()), "nf-instance-mismatch");
  request.peer = tls.leaf("xr-as", test::make_key(), std::string("URI:urn:uuid:") + dac);
  EXPECT_EQ(reason_of(nrf()), "nf-instance-mismatch");
  EXPECT_EQ(reason_of(nrf({{"nfInstanceId", dac}})), "nf-instance-mismatch");
}

TEST_F(RequestForm, CapifMembersAreTaken) {
  const auto parsed = capif();
  ASSERT_TRUE(parsed) << parsed.error().detail;
  EXPECT_EQ(parsed->scope, "3gpp#aef-1:ndac-avatar");
  EXPECT_EQ(parsed->ue_token, "a.b.c");
  const auto without_scope = capif({{"scope", "(none)"}});
  ASSERT_TRUE(without_scope);
  EXPECT_EQ(without_scope->scope, "3gpp#aef-1:ndac-avatar");
}

TEST_F(RequestForm, CapifRefusals) {
  for (const char* name : {"grant_type", "client_id", "signed_avatar_id", "ue_token", "application_id"}) {
    EXPECT_EQ(reason_of(capif({{name, "(none)"}})), "form-member-missing") << name;
  }
  EXPECT_EQ(reason_of(capif({{"grant_type", "refresh_token"}})), "unsupported-grant-type");
  EXPECT_EQ(reason_of(capif({{"client_id", "xr-as-2"}})), "client-id-mismatch");
  EXPECT_EQ(reason_of(capif({{"scope", "3gpp#aef-2:ndac-avatar"}})), "scope-invalid");
  EXPECT_EQ(reason_of(capif({{"scope", "ndac-avatar"}})), "scope-invalid");
  EXPECT_EQ(reason_of(capif({{"nfInstanceId", instance}})), "form-member-unknown");
  request.body = "grant_type";
  EXPECT_EQ(reason_of(parse_capif_request(request, config)), "form-malformed");
}

TEST_F(RequestForm, CapifNeedsTheClientsOwnSecurityContext) {
  request.parameters["securityId"] = "sec-2";
  EXPECT_EQ(reason_of(capif()), "security-id-unknown");
  request.parameters["securityId"] = "";
  client.capif_security_id.clear();
  EXPECT_EQ(reason_of(capif()), "security-id-unknown");
  config.capif_aef_id.clear();
  EXPECT_EQ(reason_of(capif()), "capif-off");
}

TEST_F(RequestForm, TheDigestIsOfPathAndBytes) {
  const auto first = nrf()->digest;
  EXPECT_EQ(nrf()->digest, first);
  EXPECT_NE(nrf({{"nfType", "AF"}})->digest, first);
  request.path = "/elsewhere";
  EXPECT_NE(nrf()->digest, first);
}

}  // namespace
}  // namespace avseal::authorization
