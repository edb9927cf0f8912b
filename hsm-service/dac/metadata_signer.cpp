#include "dac/metadata_signer.hpp"

#include "http/event.hpp"
#include "tokens/avatar_metadata.hpp"

namespace avseal::dac {
namespace {

constexpr std::size_t max_remembered = 4096;

}  // namespace

boost::asio::awaitable<Result<std::string>> MetadataSigner::metadata(store::AvatarRecord record,
                                                                     const http::Request& request) {
  const auto now = to_unix(clock_());
  AVSEAL_CO_TRY(const auto key, keyring_.keys().primary(keyring::KeyKind::avatar_metadata));
  if (const auto found = signed_.find(record.id); found != signed_.end()) {
    const auto& known = found->second;
    if (known.version == record.version && known.kid == key->kid && known.iat <= now &&
        2 * (known.exp - now) > known.exp - known.iat) {
      *request.receipt = known.leaf;
      co_return known.jws;
    }
  }
  auto fresh = co_await sign(record, request);
  if (!fresh) co_return fresh.error();
  if (signed_.size() >= max_remembered) signed_.clear();
  const auto& remembered = signed_.insert_or_assign(record.id, std::move(*fresh)).first->second;
  co_return remembered.jws;
}

boost::asio::awaitable<Result<MetadataSigner::Signed>> MetadataSigner::sign(store::AvatarRecord record,
                                                                            const http::Request& request) {
  AVSEAL_CO_TRY(const auto key, keyring_.keys().primary(keyring::KeyKind::avatar_metadata));
  Signed out;
  out.version = record.version;
  out.kid = key->kid;
  out.iat = to_unix(clock_());
  out.exp = std::min(out.iat + config_.metadata_max_lifetime, key->certificate().not_after());
  if (out.exp <= out.iat)
    co_return errors::make(Category::unavailable, "certificate-expired",
                           "the certificate of the metadata key has expired; install a new one");

  auto event = event_of(request, "sign.avatar-metadata", {{"owner", record.owner.canonical()}},
                        {{"avatar", record.id}, {"version", record.version}, {"exp", out.exp}});
  const tokens::AvatarMetadata claims{.content_digest = record.content_digest,
                                      .content_size = record.content_size,
                                      .content_type = record.content_type,
                                      .id = record.id,
                                      .owner = record.owner,
                                      .version = record.version,
                                      .members = std::move(record.members),
                                      .iat = out.iat,
                                      .exp = out.exp,
                                      .iss = config_.instance_id};
  AVSEAL_CO_TRY(const auto input, tokens::build_avatar_metadata(claims, key->certificate(), key->chain));

  auto slot = co_await ledger_.open_slot(std::move(event));
  if (!slot) co_return slot.error();
  const auto input_view = as_bytes(input);
  auto signature = co_await keyring_.sign(*slot, *key, input_view, request.deadline);
  if (!signature) {
    (void)co_await slot->commit(ledger::Outcome::discarded, signature.error().reason);
    co_return signature.error();
  }
  auto logged = co_await slot->commit(ledger::Outcome::released);
  if (!logged) co_return logged.error();
  signatures_.Increment();
  out.leaf = std::move(*logged);
  out.jws = tokens::jws_assemble(input, *signature);
  co_return out;
}

}  // namespace avseal::dac
