#pragma once

#include <string>
#include <vector>

#include "authorization/policy.hpp"
#include "tokens/certificate.hpp"

namespace avseal::authorization {

struct Config {
  std::string instance_id;                   // uuid: `iss` of access tokens
  std::string dac_instance_id;               // uuid: `aud` of access tokens
  std::string service_name = "ndac-avatar";  // scope, and <apiName> of the CAPIF scope
  std::string capif_aef_id;                  // <aefId> of the CAPIF scope; empty: the CAPIF form is off
  tokens::TrustAnchors ue_anchors;
  std::vector<std::string> accepted_issuers;    // SAN dNSNames of signers of signed Avatar-ids; empty: none
  std::int64_t signed_avatar_id_max_age = 600;  // seconds
  std::int64_t access_token_lifetime = 300;     // seconds, at most 300
  bool require_accept = false;                  // grant only for calls that UE-B accepted
  Policy policy;
};

}  // namespace avseal::authorization
