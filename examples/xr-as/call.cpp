#include "examples/xr-as/call.hpp"

#include <fstream>

#include <fmt/format.h>

#include "examples/xr-as/exchange.hpp"
#include "tokens/digest.hpp"

namespace avseal::xr_as {

namespace {

using boost::asio::awaitable;

// Session names end up in a path: what tokens::random_uuid makes, or the IMS AS's own short names.
bool is_session_name(std::string_view text) {
  if (text.empty() || text.size() > 64) return false;
  for (const char c : text) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (!letter && c != '-' && c != '_') return false;
  }
  return true;
}

// Keeps the verdict and tells each step as it ends.
class Protocol {
 public:
  Protocol(Verdict& verdict, StepSink sink) : verdict_(verdict), sink_(std::move(sink)) {}
  void passed(std::string name, std::string detail) { add({std::move(name), true, std::move(detail)}); }
  void failed(std::string name, const Error& error) {
    add({std::move(name), false, fmt::format("{} [{}]", error.detail, error.reason)});
    verdict_.refusal = error;
  }

 private:
  void add(Step step) {
    sink_(step);
    verdict_.steps.push_back(std::move(step));
  }
  Verdict& verdict_;
  StepSink sink_;
};

Result<void> keep(const CallConfig& config, std::string_view name, std::string_view content) {
  if (config.artifacts.empty()) return {};
  const std::filesystem::path path = config.artifacts / name;
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out.write(content.data(), static_cast<std::streamsize>(content.size()));
  if (!out.flush()) {
    return errors::make(Category::internal, "artifact-failed", path.string() + " cannot be written");
  }
  return {};
}

// The UE's token is for the avatar and application of this request; the authorization role checks the rest.
Result<void> check_request(const CallRequest& request, const tokens::UeToken& token) {
  if (token.claims.avatar_id == request.avatar && token.claims.app == request.application) return {};
  return errors::make(Category::invalid, "ue-token-other-avatar",
                      fmt::format("the UE token is for avatar {} in {}, the request for {} in {}",
                                  token.claims.avatar_id, token.claims.app, request.avatar, request.application));
}

Result<tokens::SignedAvatarMetadata> verify_metadata(const CallConfig& config, const CallRequest& request,
                                                     const Grant& grant, std::string_view jws) {
  AVSEAL_TRY(tokens::SignedAvatarMetadata metadata, tokens::parse_avatar_metadata(jws));
  AVSEAL_CHECK(tokens::verify_metadata(metadata, config.metadata_anchors, request.avatar, grant.claims.version,
                                       to_unix(config.clock())));
  return metadata;
}

}  // namespace

Result<CallRequest> parse_call_request(std::string_view json) {
  AVSEAL_TRY(const auto value, tokens::parse_json(json));
  AVSEAL_TRY(auto reader, tokens::ObjectReader::open(value));
  CallRequest request;
  AVSEAL_TRY(request.signed_avatar_id, reader.string("signedAvatarId"));
  AVSEAL_TRY(request.ue_token, reader.string("ueToken"));
  AVSEAL_TRY(const std::string_view application, reader.string("application"));
  AVSEAL_TRY(request.application, tokens::check_application_id(application));
  AVSEAL_TRY(const std::string_view avatar, reader.string("avatar"));
  AVSEAL_TRY(request.avatar, tokens::check_avatar_id(avatar));
  AVSEAL_TRY(const auto session, reader.optional_string("session"));
  AVSEAL_CHECK(reader.finish());
  request.session = session ? std::string(*session) : tokens::random_uuid();
  if (!is_session_name(request.session)) {
    return errors::make(Category::invalid, "session-invalid", "a session name is 1 to 64 letters, digits, '-' or '_'",
                        "/session");
  }
  return request;
}

Result<tokens::UeToken> check_ue_binding(std::string_view ue_token, const std::optional<tokens::Certificate>& peer,
                                         bool certificate_required) {
  AVSEAL_TRY(tokens::UeToken token, tokens::parse_ue_token(ue_token));
  if (!peer) {
    if (!certificate_required) return token;
    return errors::make(Category::unauthenticated, "ue-certificate-missing",
                        "hand the UE token over on a TLS connection with the UE certificate as client certificate");
  }
  if (!(peer->fingerprint() == token.leaf_fingerprint)) {
    return errors::make(Category::forbidden, "ue-certificate-mismatch",
                        fmt::format("the connection's certificate has fingerprint {}, the UE token is by {}",
                                    peer->fingerprint().to_x5t(), token.leaf_fingerprint.to_x5t()));
  }
  return token;
}

boost::json::object to_json(const Verdict& verdict) {
  boost::json::array steps;
  for (const Step& step : verdict.steps) {
    steps.push_back(boost::json::object{{"detail", step.detail}, {"passed", step.passed}, {"step", step.name}});
  }
  boost::json::object object{
      {"session", verdict.session}, {"steps", std::move(steps)}, {"verdict", verdict.refusal ? "refused" : "accepted"}};
  if (verdict.refusal) object["reason"] = verdict.refusal->reason;
  return object;
}

awaitable<Verdict> run_call(const CallConfig& config, CallRequest request, std::optional<tokens::Certificate> peer,
                            bool certificate_required, StepSink sink) {
  Verdict verdict;
  verdict.session = request.session;
  Protocol protocol(verdict, std::move(sink));

  const auto token = check_ue_binding(request.ue_token, peer, certificate_required);
  const Result<void> fits = token ? check_request(request, *token) : Result<void>(token.error());
  if (!fits) {
    protocol.failed("UE token", fits.error());
    co_return verdict;
  }
  protocol.passed("UE token", fmt::format("of {}, {}", token->claims.sub.canonical(),
                                          peer ? "certificate of the connection" : "no client certificate presented"));

  const Result<Grant> grant = co_await ask_for_access(config, request);
  const Result<void> kept = grant ? keep(config, "access-token.jwt", grant->compact) : Result<void>(grant.error());
  if (!kept) {
    protocol.failed("access token", kept.error());
    co_return verdict;
  }
  protocol.passed("access token", fmt::format("for avatar {} version {}, until {}", grant->claims.avatar_id,
                                              grant->claims.version, grant->claims.exp));

  Result<std::string> jws = co_await fetch_metadata(config, request, *grant);
  const auto metadata =
      jws ? verify_metadata(config, request, *grant, *jws) : Result<tokens::SignedAvatarMetadata>(jws.error());
  if (!metadata) {
    protocol.failed("avatar metadata", metadata.error());
    co_return verdict;
  }
  protocol.passed("avatar metadata",
                  fmt::format("version {} of {}, signed by {}", metadata->metadata.version,
                              metadata->metadata.owner.canonical(), metadata->x5c.front().subject()));

  Result<std::string> content = co_await fetch_content(config, request, *grant, metadata->metadata);
  Result<void> stored = content ? keep(config, "avatar-metadata.jwt", *jws) : Result<void>(content.error());
  if (stored) stored = keep(config, "avatar-content.bin", *content);
  if (!stored) {
    protocol.failed("avatar content", stored.error());
    co_return verdict;
  }
  protocol.passed("avatar content", fmt::format("{} bytes, digest as signed", content->size()));

  if (config.mf_url.empty()) co_return verdict;
  const Result<void> taken = co_await hand_to_mf(config, request, std::move(*jws), std::move(*content));
  if (!taken) {
    protocol.failed("media function", taken.error());
    co_return verdict;
  }
  protocol.passed("media function", "verified by itself and handed to its renderer");
  co_return verdict;
}

}  // namespace avseal::xr_as
