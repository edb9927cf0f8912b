#include "signing/ms_messages.hpp"

#include <algorithm>

#include "signing/identity.hpp"
#include "tokens/digest.hpp"
#include "tokens/json.hpp"

namespace avseal::signing {
namespace {

namespace json = boost::json;
using tokens::Fingerprint;
using tokens::Identity;
using tokens::ObjectReader;

constexpr std::size_t max_dest = 32;
constexpr std::size_t max_fingerprints = 16;
constexpr std::size_t max_call_id = 512;
constexpr std::size_t max_headers = 16;

Error invalid(std::string_view reason, std::string detail, std::string param) {
  return errors::make(Category::invalid, reason, std::move(detail), std::move(param));
}

// Names the member that a check of its value refused.
template <class T>
Result<T> at(const std::string& pointer, Result<T> result) {
  if (result || !result.error().param.empty()) return result;
  Error error = result.error();
  error.param = pointer;
  return error;
}

// The object under the one member of the body.
Result<ObjectReader> open_body(const json::value& document, std::string_view name) {
  AVSEAL_TRY(auto root, ObjectReader::open(document));
  AVSEAL_TRY(auto request, root.object(name));
  AVSEAL_CHECK(root.finish());
  return request;
}

Result<json::value> parse_body(std::string_view body) {
  if (body.empty()) return errors::make(Category::bad_request, "body-missing", "expected a JSON body, found none");
  return tokens::parse_json(body);
}

Result<Identity> identity_of(bool is_tn, std::string_view text) {
  return is_tn ? Identity::from_tn(text) : Identity::from_uri(text);
}

// {"tn": text} or {"uri": text}, exactly one.
Result<Identity> read_identity(ObjectReader& parent, std::string_view name) {
  AVSEAL_TRY(auto object, parent.object(name));
  AVSEAL_TRY(const auto tn, object.optional_string("tn"));
  AVSEAL_TRY(const auto uri, object.optional_string("uri"));
  AVSEAL_CHECK(object.finish());
  if (tn.has_value() == uri.has_value()) {
    return invalid("identity-ambiguous", "expected either tn or uri", parent.pointer_to(name));
  }
  return at(object.pointer_to(tn ? "tn" : "uri"), identity_of(tn.has_value(), tn ? *tn : *uri));
}

// Members tn and uri, each a string (if allowed) or an array of strings.
Result<std::vector<Identity>> read_identities(ObjectReader& parent, std::string_view name, bool string_allowed) {
  AVSEAL_TRY(auto object, parent.object(name));
  std::vector<Identity> out;
  for (const std::string_view member : {std::string_view("tn"), std::string_view("uri")}) {
    if (!object.has(member)) continue;
    std::vector<std::string> texts;
    if (string_allowed && object.raw().at(member).is_string()) {
      AVSEAL_TRY(const auto text, object.string(member));
      texts.emplace_back(text);
    } else {
      AVSEAL_TRY(texts, object.strings(member));
    }
    for (const auto& text : texts) {
      AVSEAL_TRY(auto identity, at(object.pointer_to(member), identity_of(member == "tn", text)));
      out.push_back(std::move(identity));
    }
  }
  AVSEAL_CHECK(object.finish());
  if (out.empty() || out.size() > max_dest) {
    return invalid("identity-count", "expected 1 to " + std::to_string(max_dest) + " identities",
                   parent.pointer_to(name));
  }
  return out;
}

Result<std::vector<std::string>> read_fingerprints(ObjectReader& request) {
  AVSEAL_TRY(auto texts, request.optional_strings("fingerprints"));
  if (!texts) return std::vector<std::string>{};
  if (texts->empty() || texts->size() > max_fingerprints) {
    return invalid("fingerprint-count", "expected 1 to " + std::to_string(max_fingerprints) + " fingerprints",
                   request.pointer_to("fingerprints"));
  }
  return std::move(*texts);
}

Result<std::vector<Fingerprint>> read_mky(ObjectReader& request) {
  AVSEAL_TRY(const auto texts, read_fingerprints(request));
  std::vector<Fingerprint> out;
  for (const auto& text : texts) {
    AVSEAL_TRY(auto fingerprint, at(request.pointer_to("fingerprints"), Fingerprint::from_sdp(text)));
    out.push_back(std::move(fingerprint));
  }
  return out;
}

// `avatar` and `ueFingerprint`: both or neither.
Result<std::optional<tokens::AvatarClaim>> read_avatar(ObjectReader& request, const std::vector<Fingerprint>& mky) {
  AVSEAL_TRY(auto object, request.optional_object("avatar"));
  if (!object) return std::optional<tokens::AvatarClaim>{};
  AVSEAL_TRY(const auto id, object->string("id"));
  AVSEAL_TRY(const auto app, object->string("app"));
  AVSEAL_CHECK(object->finish());
  tokens::AvatarClaim claim;
  AVSEAL_TRY(claim.id, at(object->pointer_to("id"), tokens::check_avatar_id(id)));
  AVSEAL_TRY(claim.app, at(object->pointer_to("app"), tokens::check_application_id(app)));
  const std::string pointer = request.pointer_to("ueFingerprint");
  AVSEAL_TRY(const auto text, request.string("ueFingerprint"));
  AVSEAL_TRY(const auto ue, at(pointer, Fingerprint::from_sdp(text)));
  if (ue.algorithm() != "sha-256") {
    return invalid("ue-fingerprint-algorithm", "expected a SHA-256 fingerprint, found " + ue.algorithm(), pointer);
  }
  if (std::find(mky.begin(), mky.end(), ue) == mky.end()) {
    return invalid("ue-fingerprint-not-listed", "expected ueFingerprint to be one of fingerprints", pointer);
  }
  claim.ue = ue.to_x5t();
  return claim;
}

// RFC 8946: the diverting party; orig and iat are the original's, and no other claim is copied.
Result<tokens::Passport> read_diversion(ObjectReader& request, tokens::Passport passport) {
  AVSEAL_TRY(passport.div, read_identity(request, "div"));
  if (std::find(passport.dest.begin(), passport.dest.end(), *passport.div) != passport.dest.end()) {
    return invalid("div-loop", "expected dest to be another than div", request.pointer_to("dest"));
  }
  passport.ppt = "div";
  return passport;
}

Result<tokens::Passport> read_attested(ObjectReader& request, tokens::Passport passport) {
  AVSEAL_TRY(const auto attest, request.string("attest"));
  AVSEAL_TRY(passport.attest, at(request.pointer_to("attest"), tokens::parse_attest(attest)));
  AVSEAL_TRY(const auto origid, request.string("origid"));
  if (!tokens::is_uuid(origid)) return invalid("origid-invalid", "expected a UUID", request.pointer_to("origid"));
  passport.origid = origid;
  std::transform(passport.origid.begin(), passport.origid.end(), passport.origid.begin(),
                 [](char c) { return c >= 'A' && c <= 'F' ? static_cast<char>(c - 'A' + 'a') : c; });
  AVSEAL_TRY(passport.mky, read_mky(request));
  AVSEAL_TRY(passport.avatar, read_avatar(request, passport.mky));
  passport.ppt = passport.avatar ? "avatar" : "shaken";
  return passport;
}

std::string_view header_member(http::MsDialect dialect) {
  return dialect == http::MsDialect::ts24229 ? "identityHeader" : "identity";
}

std::string_view headers_member(http::MsDialect dialect) {
  return dialect == http::MsDialect::ts24229 ? "identityHeaders" : "identities";
}

std::string verstat(std::string_view ppt, const Result<VerifiedPassport>& outcome) {
  const std::string validation = ppt == "avatar" ? "Avatar-Validation" : "TN-Validation";
  if (outcome) return validation + "-Passed";
  return outcome.error().reason == "identity-missing" ? "No-" + validation : validation + "-Failed";
}

// TS 24.229 7.13: [div, verstatValue] for each party, in the order of the call.
json::array diversion_results(const std::vector<DivertedBy>& diverted) {
  json::array out;
  for (const auto& by : diverted) out.push_back(json::array{by.party.value, "TN-Validation-Passed"});
  return out;
}

// An entry for each div PASSporT of the request: a step of the call's way, or none.
void add_diversions(json::array& results, const std::vector<DivertedBy>& diverted, std::size_t count) {
  for (std::size_t n = 0; n < count; ++n) {
    const bool step = std::any_of(diverted.begin(), diverted.end(), [&](const auto& by) { return by.header == n; });
    json::object result{{"ppt", "div"}, {"status", step ? "pass" : "fail"}};
    if (!step) {
      const SipStatus status = sip_status(verdict("div-not-linked", {}));
      result["reasonCode"] = status.code;
      result["reasonText"] = status.text;
      result["reason"] = "div-not-linked";
    }
    results.push_back(json::object{{"verifyResult", std::move(result)}});
  }
}

}  // namespace

Result<tokens::Passport> parse_signing_request(std::string_view body) {
  AVSEAL_TRY(const auto document, parse_body(body));
  AVSEAL_TRY(auto request, open_body(document, "signingRequest"));
  tokens::Passport passport;
  AVSEAL_TRY(passport.dest, read_identities(request, "dest", false));
  AVSEAL_TRY(passport.iat, request.integer("iat"));
  AVSEAL_TRY(passport.orig, read_identity(request, "orig"));
  AVSEAL_TRY(const auto ppt, request.optional_string("ppt"));
  const bool diverted = request.has("div") || ppt == "div";
  AVSEAL_TRY(passport, diverted ? read_diversion(request, passport) : read_attested(request, passport));
  if (ppt && *ppt != passport.ppt) {
    return invalid("ppt-mismatch", "expected ppt " + passport.ppt + " for these members", request.pointer_to("ppt"));
  }
  AVSEAL_CHECK(request.finish());
  return passport;
}

json::value format_signing_response(http::MsDialect dialect, std::string_view identity_header) {
  return {{"signingResponse", {{header_member(dialect), identity_header}}}};
}

Result<VerificationRequest> parse_verification_request(http::MsDialect dialect, std::string_view body) {
  AVSEAL_TRY(const auto document, parse_body(body));
  AVSEAL_TRY(auto request, open_body(document, "verificationRequest"));
  VerificationRequest out;
  AVSEAL_TRY(const auto header, request.optional_string(header_member(dialect)));
  if (header && !header->empty()) out.identity_header = std::string(*header);
  AVSEAL_TRY(out.call.from, read_identity(request, "from"));
  AVSEAL_TRY(out.call.to, read_identities(request, "to", true));
  if (request.has("dest")) {
    AVSEAL_TRY(const auto dest, read_identities(request, "dest", true));
    out.call.to.insert(out.call.to.end(), dest.begin(), dest.end());
  }
  AVSEAL_TRY(auto diversions, request.optional_strings(headers_member(dialect)));
  if (diversions) out.call.diversions = std::move(*diversions);
  if (out.call.diversions.size() > max_headers) {
    return invalid("header-count", "expected at most " + std::to_string(max_headers) + " Identity headers",
                   request.pointer_to(headers_member(dialect)));
  }
  AVSEAL_TRY(out.call.fingerprints, read_fingerprints(request));
  AVSEAL_TRY(const auto call_id, request.optional_string("callId"));
  if (call_id && (call_id->empty() || call_id->size() > max_call_id)) {
    return invalid("call-id-invalid", "expected 1 to 512 characters", request.pointer_to("callId"));
  }
  if (call_id) out.call.call_id = std::string(*call_id);
  AVSEAL_TRY(out.call.time, request.integer("time"));
  AVSEAL_CHECK(request.finish());
  return out;
}

json::value format_verification_response(http::MsDialect dialect, std::string_view ppt,
                                         const Result<VerifiedPassport>& outcome, std::size_t diversions) {
  json::object response;
  json::object result{{"ppt", ppt}, {"status", outcome ? "pass" : "fail"}};
  if (outcome && outcome->passport.avatar) {
    response["avatar"] = {{"app", outcome->passport.avatar->app}, {"id", outcome->passport.avatar->id}};
  }
  if (outcome && !outcome->passport.origid.empty()) {
    result["validClaims"] = {{"iat", outcome->passport.iat}, {"origid", outcome->passport.origid}};
  }
  if (outcome && !outcome->diverted.empty()) response["divResult"] = diversion_results(outcome->diverted);
  if (dialect == http::MsDialect::ts24229) {
    response["verstatValue"] = verstat(ppt, outcome);
    if (!outcome) {
      const SipStatus status = sip_status(outcome.error());
      result["reasonCode"] = status.code;
      result["reasonText"] = status.text;
      result["reason"] = outcome.error().reason;
    }
    json::array results{json::object{{"verifyResult", std::move(result)}}};
    if (outcome) add_diversions(results, outcome->diverted, diversions);
    response["verifyResults"] = std::move(results);
  } else {
    response["verstat"] = verstat(ppt, outcome);
    if (!outcome) {
      const SipStatus status = sip_status(outcome.error());
      response["reasoncode"] = status.code;
      response["reasontext"] = status.text;
      response["reasondesc"] = outcome.error().detail;
      response["reason"] = outcome.error().reason;
    }
  }
  return json::object{{"verificationResponse", std::move(response)}};
}

}  // namespace avseal::signing
