// Signing under an Idempotency-Key. What is kept is the signature and whose it is, nothing of the call: the retry
// brings that again, and is authorised again before it comes here.
#include <algorithm>

#include "signing/role.hpp"
#include "tokens/base64.hpp"
#include "tokens/digest.hpp"

namespace avseal::signing {
namespace {

namespace asio = boost::asio;
using store::IdempotencyState;

// What a stored answer is made of: "<SHA-256 of the certificate, hex> <signature, base64url> <place of the leaf>".
struct Stored {
  std::string certificate_sha256;
  std::string signature;
  ledger::Position leaf;

  [[nodiscard]] std::string to_string() const { return certificate_sha256 + ' ' + signature + ' ' + leaf.to_string(); }
  static std::optional<Stored> parse(std::string_view text);
};

std::optional<Stored> Stored::parse(std::string_view text) {
  const auto first = text.find(' ');
  const auto second = first == std::string_view::npos ? first : text.find(' ', first + 1);
  if (second == std::string_view::npos) return std::nullopt;
  auto leaf = ledger::Position::parse(text.substr(second + 1));
  if (!leaf) return std::nullopt;
  return Stored{std::string(text.substr(0, first)), std::string(text.substr(first + 1, second - first - 1)),
                std::move(*leaf)};
}

Stored stored_form(const tokens::IdentityHeader& header, ledger::Position leaf) {
  const std::string_view file = std::string_view(header.info).substr(header.info.rfind('/') + 1);
  const std::string_view jws = header.passport;
  return {std::string(file.substr(0, file.find('.'))), std::string(jws.substr(jws.rfind('.') + 1)), std::move(leaf)};
}

Error unusable() {
  return errors::make(
      Category::conflict, "idempotency-answer-unusable",
      "the earlier answer cannot be given again, for its key is not configured any more; send the request with "
      "another Idempotency-Key");
}

Error reused() {
  return errors::make(Category::unprocessable, "idempotency-key-reused",
                      "expected the body that first came with this Idempotency-Key, found another; use a new key for "
                      "each request",
                      "header Idempotency-Key");
}

Error in_progress(std::chrono::seconds left) {
  Error error = errors::make(Category::conflict, "idempotency-in-progress",
                             "a request with this Idempotency-Key is being answered; repeat it later");
  error.retry_after = std::max(std::chrono::seconds{1}, left);
  return error;
}

const keyring::SigningKey* find_key(const keyring::Keys& keys, std::string_view certificate_sha256) {
  for (const auto& key : keys.all()) {
    const bool avatar_id = key.kind == keyring::KeyKind::avatar_id;
    if (avatar_id && key.certificate().sha256_hex() == certificate_sha256) return &key;
  }
  return nullptr;
}

std::chrono::seconds left_until(http::Deadline deadline) {
  return std::chrono::ceil<std::chrono::seconds>(deadline - std::chrono::steady_clock::now());
}

}  // namespace

Role::Identity Role::sign_once(const http::Request& request, tokens::Passport passport, std::string idempotency_key) {
  const std::string scope = request.peer->fingerprint().to_x5t() + "\n" + request.route->event + "\n" + idempotency_key;
  store::IdempotencyRequest attempt;
  attempt.key = tokens::base64url_encode(tokens::sha256(as_bytes(scope)));
  attempt.client = request.client->id;
  attempt.digest = tokens::base64url_encode(tokens::sha256(as_bytes(request.body)));
  attempt.now = now();
  attempt.busy_until = attempt.now + std::max(std::chrono::seconds{0}, left_until(request.deadline)).count();
  attempt.expires = passport.iat + config_.freshness.count();  // a later retry is refused for its iat
  const std::string key = attempt.key;
  auto begun = co_await idempotency_keys_.begin(std::move(attempt));
  if (!begun) co_return begun.error();
  switch (begun->kind) {
    case IdempotencyState::Kind::completed:
      co_return co_await replay(request, std::move(passport), std::move(begun->answer));
    case IdempotencyState::Kind::other_request:
      co_return reused();
    case IdempotencyState::Kind::in_progress:
      co_return in_progress(std::chrono::seconds{begun->busy_until - now()});
    case IdempotencyState::Kind::begun:
      break;
  }
  auto header = co_await sign_anew(request, std::move(passport));
  if (!header) {
    // If this fails too, the attempt ends with the request's deadline.
    static_cast<void>(co_await idempotency_keys_.abandon(key, begun->attempt));
    co_return header.error();
  }
  // After the leaf, before the caller: an answer that can be given again is in the ledger already.
  std::string stored = stored_form(*header, **request.receipt).to_string();
  auto kept = co_await idempotency_keys_.complete(key, begun->attempt, std::move(stored));
  if (!kept) co_return kept.error();
  co_return std::move(*header);
}

Role::Identity Role::replay(const http::Request& request, tokens::Passport passport, std::string answer) {
  const auto stored = Stored::parse(answer);
  const auto* key = stored ? find_key(keyring_.keys(), stored->certificate_sha256) : nullptr;
  if (key == nullptr) co_return unusable();
  passport.x5u = certificate_url(config_, key->certificate());
  AVSEAL_CO_TRY(const std::string input, tokens::build_passport(passport, key->public_key.algorithm()));
  AVSEAL_CO_TRY(const Bytes signature, tokens::base64url_decode(stored->signature));
  if (!key->public_key.verify(as_bytes(input), signature)) co_return unusable();
  tokens::IdentityHeader header;
  header.passport = tokens::jws_assemble(input, signature);
  header.info = passport.x5u;
  header.alg = tokens::to_string(key->public_key.algorithm());
  header.ppt = passport.ppt;

  auto event = sign_event(request, passport);
  event.type = "sign.replayed";
  event.details["digest"] = tokens::base64url_encode(tokens::sha256(as_bytes(input)));
  auto slot = co_await ledger_.open_slot(std::move(event));
  if (!slot) co_return slot.error();
  auto committed = co_await slot->commit(ledger::Outcome::released);
  if (!committed) co_return committed.error();
  *request.receipt = stored->leaf;
  count_signature(passport.ppt, "replayed");
  co_return header;
}

}  // namespace avseal::signing
