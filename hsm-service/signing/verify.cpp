#include "http/event.hpp"
#include "signing/ms_errors.hpp"
#include "signing/ms_messages.hpp"
#include "signing/role.hpp"

namespace avseal::signing {
namespace {

namespace asio = boost::asio;

// Which kind of call it is: what the header says if it can be read, else whether there are fingerprints to bind.
std::string ppt_of(const VerificationRequest& request) {
  if (request.identity_header) {
    const auto header = tokens::parse_identity_header(*request.identity_header);
    if (header && (header->ppt == "avatar" || header->ppt == "shaken")) return header->ppt;
  }
  return request.call.fingerprints.empty() ? "shaken" : "avatar";
}

Error identity_missing() {
  return errors::make(Category::invalid, "identity-missing", "expected an Identity header, found none");
}

}  // namespace

asio::awaitable<Result<http::Response>> Role::verify(http::Request& request) {
  AVSEAL_CO_CHECK(check_accept(request));
  AVSEAL_CO_TRY(auto wanted, parse_verification_request(request.client->dialect, request.body));
  const std::string ppt = ppt_of(wanted);
  const std::size_t diversions = wanted.call.diversions.size();
  Result<VerifiedPassport> outcome = identity_missing();
  if (wanted.identity_header) {
    outcome = co_await verifier_.verify_call(std::move(*wanted.identity_header), std::move(wanted.call), now());
  }
  count_verification(ppt, outcome ? std::string_view("passed") : outcome.error().reason);
  if (!outcome && outcome.error().category != Category::invalid) co_return outcome.error();
  if (!outcome) {
    auto event = event_of(request, ppt == "avatar" ? "verify.avatar-id" : "verify.shaken");
    event.details = {{"reasonCode", sip_status(outcome.error()).code}};
    std::string reason(outcome.error().reason);
    co_await ledger_.refused(std::move(event), std::move(reason));
  }
  auto response =
      http::Response::json(200, format_verification_response(request.client->dialect, ppt, outcome, diversions));
  echo_request_id(request, response);
  co_return response;
}

}  // namespace avseal::signing
