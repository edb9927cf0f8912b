// Steps f to h of the call as the XR AS sees them (design section 1), each with its verdict.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/awaitable.hpp>

#include "http/client.hpp"
#include "tokens/access_token.hpp"
#include "tokens/avatar_metadata.hpp"
#include "tokens/clock.hpp"
#include "tokens/ue_token.hpp"

namespace avseal::xr_as {

// What the UE, or its DC AS leg, hands over.
struct CallRequest {
  std::string signed_avatar_id;  // Identity header value
  std::string ue_token;
  std::string application;
  std::string avatar;
  std::string session;  // of the media session at the MF; made if absent
};
// {"signedAvatarId":"..","ueToken":"..","application":"..","avatar":"..","session":".."}; session is optional.
Result<CallRequest> parse_call_request(std::string_view json);

struct CallConfig {
  std::string authorization_url;  // of avseald, without path
  std::string dac_url;
  std::string nf_instance_id;  // ours, as in our certificate's SAN urn:uuid:
  std::string mf_url;          // empty: no MF
  http::ClientConfig tls;      // anchors and our client certificate
  tokens::TrustAnchors metadata_anchors;
  std::size_t max_content = 64 * 1024 * 1024;
  std::filesystem::path artifacts;  // empty: nothing is written
  Clock clock = system_clock_now;
};

struct Step {
  std::string name;
  bool passed = false;
  std::string detail;
};

struct Verdict {
  std::string session;
  std::vector<Step> steps;
  std::optional<Error> refusal;  // of the last step; none: all passed
};
boost::json::object to_json(const Verdict& verdict);

using StepSink = std::function<void(const Step&)>;

// The certificate of the connection that the token came on must be the token's (design section 1, step e).
// Reasons "ue-certificate-missing", "ue-certificate-mismatch", those of parse_ue_token.
Result<tokens::UeToken> check_ue_binding(std::string_view ue_token, const std::optional<tokens::Certificate>& peer,
                                         bool certificate_required);

// The access token of an AccessTokenRsp; the avatar's version at the time of the grant is in it. Reasons
// "access-token-refused" (with what the authorization role said), those of parse_access_token.
struct Grant {
  std::string compact;
  tokens::AccessTokenClaims claims;
};
Result<Grant> read_grant(unsigned status, std::string_view body);

// Runs everything; stops at the first step that fails.
boost::asio::awaitable<Verdict> run_call(const CallConfig& config, CallRequest request,
                                         std::optional<tokens::Certificate> peer, bool certificate_required,
                                         StepSink sink);

}  // namespace avseal::xr_as
