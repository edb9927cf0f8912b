#include "http/event.hpp"
#include "signing/role.hpp"
#include "tokens/digest.hpp"
#include "tokens/json.hpp"

namespace avseal::signing {
namespace {

namespace asio = boost::asio;

Result<store::CallState> parse_state(std::string_view body) {
  AVSEAL_TRY(const auto document, tokens::parse_json(body));
  AVSEAL_TRY(auto root, tokens::ObjectReader::open(document));
  AVSEAL_TRY(const auto text, root.string("state"));
  AVSEAL_CHECK(root.finish());
  for (const auto state : {store::CallState::accepted, store::CallState::avatar_rejected, store::CallState::ended}) {
    if (text == store::to_string(state)) return state;
  }
  return errors::make(Category::invalid, "call-state-invalid", "expected accepted, avatar-rejected or ended",
                      root.pointer_to("state"));
}

// origid as PASSporTs have it.
Result<std::string> parse_origid(const std::string& text) {
  if (!tokens::is_uuid(text)) return errors::make(Category::invalid, "origid-invalid", "expected a UUID", "{origid}");
  std::string origid = text;
  for (char& c : origid) {
    if (c >= 'A' && c <= 'F') c = static_cast<char>(c - 'A' + 'a');
  }
  return origid;
}

}  // namespace

asio::awaitable<Result<http::Response>> Role::put_call(http::Request& request) {
  AVSEAL_CO_TRY(const std::string origid, parse_origid(request.parameters.at("origid")));
  AVSEAL_CO_TRY(const store::CallState state, parse_state(request.body));
  auto event = event_of(request, "call.state");
  event.details = {{"origid", origid}, {"state", store::to_string(state)}};
  auto slot = co_await ledger_.open_slot(std::move(event));
  if (!slot) co_return slot.error();
  store::Call call{origid, state, request.client->id, now()};
  auto stored = co_await calls_.put(std::move(call));
  if (!stored) {
    const Error error = stored.error();
    const bool refused = error.category == Category::conflict || error.category == Category::forbidden;
    co_await slot->commit(refused ? ledger::Outcome::refused : ledger::Outcome::discarded, error.reason);
    co_return error;
  }
  auto committed = co_await slot->commit(ledger::Outcome::released);
  if (!committed) co_return committed.error();
  co_return http::Response::empty(204);
}

}  // namespace avseal::signing
