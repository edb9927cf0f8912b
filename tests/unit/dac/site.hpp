// A DAC role on a test::Node: a feeder of a.example, another of b.example, an XR AS, and an authorization role's key.
#pragma once

#include "../support/problem.hpp"
#include "dac/role.hpp"
#include "support.hpp"
#include "tokens/access_token.hpp"
#include "tokens/avatar_metadata.hpp"
#include "tokens/base64.hpp"

namespace avseal::test {

inline constexpr const char* dac_id = "11111111-1111-4111-8111-111111111111";
inline constexpr const char* issuer_id = "22222222-2222-4222-8222-222222222222";
inline constexpr const char* xr_as_nf = "33333333-3333-4333-8333-333333333333";
inline constexpr const char* avatar_path = "/dac/v1/avatars/urn:uuid:avatar-1";
inline constexpr const char* avatar_id = "urn:uuid:avatar-1";

class DacSite {
 public:
  DacSite();

  void restart();                      // another role, with the configuration as it is now
  tokens::AccessTokenClaims claims();  // good ones for the XR AS and avatar_id
  std::string token(const tokens::AccessTokenClaims& claims);
  http::Response put_content(const Bytes& content, const std::string& path = avatar_path, http::Headers extra = {},
                             std::size_t piece = 50'000);
  http::Response publish(const Bytes& content, http::Headers precondition,
                         const std::string& owner = "sip:alice@a.example", const std::string& path = avatar_path);
  // Stages and publishes over the given version; fails the test if refused.
  void publish_over(const Bytes& content, std::int64_t version);
  http::Response get(const std::string& what, const std::string& bearer, http::Headers extra = {});
  Result<Bytes> read(http::Response& response);
  std::vector<std::filesystem::path> files() const;

  Authority tls{"tls"};
  Authority metadata_ca{"metadata"};
  Key issuer_key = make_key();
  Key metadata_key = make_key();
  tokens::Certificate feeder = tls.leaf("feeder", make_key(), "URI:urn:avseal:feeder");
  tokens::Certificate other_feeder = tls.leaf("feeder-b", make_key(), "URI:urn:avseal:feeder-b");
  tokens::Certificate xr_as = tls.leaf("xr-as", make_key(), std::string("URI:urn:uuid:") + xr_as_nf);
  tokens::Certificate impostor = tls.leaf("impostor", make_key(), "URI:urn:avseal:impostor");
  const tokens::Certificate* as = &feeder;  // who calls put_content() and publish()
  Node node;
  dac::Config config;
  std::unique_ptr<dac::Role> role;

 private:
  std::vector<http::ClientEntry> clients() const;
};

inline std::string digest_header(const Bytes& content) {
  return "sha-256=:" + tokens::base64_encode(tokens::sha256(content)) + ":";
}
inline std::string digest_member(const Bytes& content) {
  return "sha-256-" + tokens::base64_encode(tokens::sha256(content));
}
}  // namespace avseal::test
