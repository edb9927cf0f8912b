// What auditors and operators have done with the log: exports signed, persons erased.
#include <algorithm>

#include "http/event.hpp"
#include "http/on_pool.hpp"
#include "ledger_http/errors.hpp"
#include "ledger_http/routes.hpp"
#include "tlog/note.hpp"
#include "tokens/base64.hpp"
#include "tokens/json.hpp"

namespace avseal::ledger_http {

namespace {

constexpr std::size_t max_reason = 64;

// Why, without a person: the leaf stays for good.
Result<std::string> reason_of(const http::Request& request) {
  const auto fits = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
           c == '_';
  };
  for (const auto& [name, value] : request.query) {
    if (name != "reason") return errors::query(name, "expected only reason");
    if (value.empty() || value.size() > max_reason || !std::all_of(value.begin(), value.end(), fits)) break;
    return value;
  }
  return errors::query("reason", "expected 1 to 64 letters, digits, '.', '_' and '-' that name no person");
}

Result<std::string> manifest_of(const http::Request& request) {
  AVSEAL_TRY(const auto document, tokens::parse_json(request.body, {.size = request.body.size()}));
  AVSEAL_TRY(auto root, tokens::ObjectReader::open(document));
  AVSEAL_TRY(const auto text, root.string("manifest"));
  AVSEAL_CHECK(root.finish());
  return std::string(text);
}

// That the checkpoint which the manifest names is of this log, so that nothing else is signed.
Result<void> check_head(const Log& log, const tlog::Checkpoint& named) {
  if (named.size > log.head.size) return errors::head_differs(named.size);
  const auto source = tlog::open_directory(log.directory);
  const tlog::TileReader read = [&](const tlog::TileName& tile) { return source->tile(tile); };
  tlog::TileNodes nodes(log.head.size, read);
  AVSEAL_TRY(const auto root, tlog::root_at(named.size, std::ref(nodes)));
  if (root != named.root) return errors::head_differs(named.size);
  return {};
}

}  // namespace

// The leaf first, so that no person is erased unlogged.
Routes::Answer Routes::delete_subject(http::Request& request) {
  AVSEAL_CO_TRY(auto reason, reason_of(request));
  auto subject = tokens::Impu::parse(request.parameters.at("impu"));
  if (!subject)
    co_return errors::make(subject.error().category, subject.error().reason, subject.error().detail, "{impu}");
  auto known = co_await with_.subject_keys.find(subject->canonical());
  if (!known) co_return known.error();
  if (!*known) co_return errors::subject_unknown();
  auto erased = co_await erase(request, *subject, std::move(reason));
  if (!erased) co_return erased.error();
  erased_.Increment();
  co_return http::Response::empty(204);
}

boost::asio::awaitable<Result<void>> Routes::erase(const http::Request& request, const tokens::Impu& subject,
                                                   std::string reason) {
  auto event = http::event_of(request, "subject.erased", {}, {{"reason", reason}});
  ledger::Event failure = event;
  auto slot = co_await with_.ledger.open_slot(std::move(event));
  if (!slot) co_return slot.error();
  auto logged = co_await slot->commit(ledger::Outcome::released);
  if (!logged) co_return logged.error();
  auto removed = co_await with_.subject_keys.erase(subject.canonical());
  if (removed) co_return Result<void>{};
  auto second = co_await with_.ledger.open_slot(std::move(failure));
  if (second) (void)co_await second->commit(ledger::Outcome::discarded, removed.error().reason);
  co_return removed.error();
}

Routes::Answer Routes::post_manifest(http::Request& request) {
  AVSEAL_CO_TRY(auto text, manifest_of(request));
  AVSEAL_CO_TRY(auto manifest, tlog::ExportManifest::parse(text));
  // The origin of a log ends in its year.
  const auto& origin = manifest.checkpoint.origin;
  const bool current = origin == with_.ledger.origin();
  const auto border = origin.rfind('/');
  if (!current && origin.substr(0, border) != config_.origin) co_return errors::log_unknown();
  std::string year = current ? std::string() : origin.substr(border + 1);
  auto log = co_await log_of(std::move(year));
  if (!log) co_return log.error();
  auto check = [found = std::move(*log), named = manifest.checkpoint] { return check_head(found, named); };
  auto checked = co_await http::on_pool(disk_, std::move(check));
  if (!checked) co_return checked.error();
  auto note = co_await sign(request, manifest, std::move(text));
  if (!note) co_return note.error();
  co_return http::Response::text(200, "text/plain; charset=utf-8", std::move(*note));
}

boost::asio::awaitable<Result<std::string>> Routes::sign(const http::Request& request,
                                                         const tlog::ExportManifest& manifest, std::string text) {
  AVSEAL_CO_TRY(const auto key, with_.keyring.keys().primary(keyring::KeyKind::ledger));
  AVSEAL_CO_TRY(const auto signer, tlog::VerifierKey::of(manifest.checkpoint.origin, key->public_key));
  auto event = http::event_of(request, "ledger.export", {},
                              {{"digest", tokens::base64url_encode(tokens::sha256(as_bytes(text)))},
                               {"files", static_cast<std::int64_t>(manifest.files.size())},
                               {"from", static_cast<std::int64_t>(manifest.from)},
                               {"log", manifest.checkpoint.origin},
                               {"size", static_cast<std::int64_t>(manifest.checkpoint.size)},
                               {"to", static_cast<std::int64_t>(manifest.to)}});
  auto slot = co_await with_.ledger.open_slot(std::move(event));
  if (!slot) co_return slot.error();
  const auto view = as_bytes(text);
  auto signature = co_await with_.keyring.sign(*slot, *key, view, request.deadline, keyring::Priority::batch);
  if (!signature) {
    (void)co_await slot->commit(ledger::Outcome::discarded, signature.error().reason);
    co_return signature.error();
  }
  auto logged = co_await slot->commit(ledger::Outcome::released);
  if (!logged) co_return logged.error();
  AVSEAL_CO_TRY(auto line, tlog::ecdsa_signature(signer, *signature));
  tlog::Note note;
  note.text = std::move(text);
  note.signatures.push_back(std::move(line));
  co_return note.to_string();
}

}  // namespace avseal::ledger_http
