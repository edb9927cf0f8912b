#include "dac/role.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <prometheus/family.h>

#include "dac/bearer.hpp"
#include "http/event.hpp"

namespace avseal::dac {
namespace {

namespace asio = boost::asio;
using http::ClientRole;
using http::Method;

prometheus::Counter& counter(prometheus::Registry& metrics, const char* name, const char* help) {
  return prometheus::BuildCounter().Name(name).Help(help).Register(metrics).Add({});
}

Error version_mismatch(std::int64_t expected, std::int64_t found) {
  return errors::make(Category::precondition_failed, "avatar-version-conflict",
                      expected == 0 ? fmt::format("the avatar is there already, version {}", found)
                                    : fmt::format("expected version {}, found {}", expected, found),
                      expected == 0 ? "header If-None-Match" : "header If-Match");
}

Error other_owner(std::string_view detail) {
  return errors::make(Category::forbidden, "avatar-other-owner", std::string(detail));
}

Error not_there(std::string_view reason, std::string_view detail) {
  return errors::make(Category::not_found, reason, std::string(detail));
}

boost::json::object describe(const store::StagedContent& content) {
  return {{"contentDigest", content.content_digest},
          {"contentSize", content.content_size},
          {"contentType", content.content_type}};
}

http::Response describe(unsigned status, const store::AvatarRecord& record) {
  boost::json::object body{{"id", record.id},
                           {"version", record.version},
                           {"owner", record.owner.canonical()},
                           {"contentDigest", record.content_digest},
                           {"contentSize", record.content_size},
                           {"contentType", record.content_type}};
  if (!record.members.empty()) body["members"] = record.members;
  auto response = http::Response::json(status, body);
  response.headers.emplace_back("etag", etag(record.version));
  return response;
}

ledger::Event change_event(std::string type, const http::Request& request, const store::AvatarRecord& record) {
  return event_of(request, std::move(type), {{"owner", record.owner.canonical()}},
                  {{"avatar", record.id}, {"version", record.version}, {"digest", record.content_digest}});
}

// What a publication makes of the content that it names; its data key is not bound yet.
store::AvatarRecord record_of(const Publication& publication, store::StagedContent staged) {
  return {.id = std::move(staged.avatar_id),
          .owner = publication.owner,
          .version = 0,
          .content_digest = std::move(staged.content_digest),
          .content_size = staged.content_size,
          .content_type = std::move(staged.content_type),
          .content_file = std::move(staged.content_file),
          .wrapped_key = {},
          .members = {},
          .withdrawn = false};
}

}  // namespace

Role::Role(const Config& config, Dependencies dependencies, prometheus::Registry& metrics)
    : config_(config),
      with_(std::move(dependencies)),
      metadata_(config_, with_.keyring, with_.ledger, with_.clock,
                counter(metrics, "avseal_dac_metadata_signed_total", "Signatures of avatar metadata")),
      contents_(config_, with_.keyring, with_.avatars, with_.clock, metrics),
      published_(counter(metrics, "avseal_dac_published_total", "Avatar versions published")),
      withdrawn_(counter(metrics, "avseal_dac_withdrawn_total", "Avatars withdrawn")) {}

void Role::add_routes(http::Router& router) {
  const std::string avatar = "/dac/v1/avatars/{avatarId}";
  const auto route = [](Method method, std::string pattern, ClientRole role, std::string event, http::Handler handler) {
    http::Route out;
    out.method = method;
    out.pattern = std::move(pattern);
    out.roles = {role};
    out.event = std::move(event);
    out.handler = std::move(handler);
    return out;
  };
  auto upload = route(Method::put, avatar + "/content", ClientRole::feeder, "dac.stage",
                      [this](http::Request& request) { return put_content(request); });
  upload.body = http::BodyMode::stream;
  upload.content_types = config_.content_types;
  upload.max_body = config_.max_content_bytes;
  router.add(std::move(upload));

  auto publish = route(Method::put, avatar, ClientRole::feeder, "dac.publish",
                       [this](http::Request& request) { return put_avatar(request); });
  publish.timed = true;
  publish.body = http::BodyMode::complete;
  publish.content_types = {"application/json"};
  router.add(std::move(publish));

  router.add(route(Method::get, avatar, ClientRole::feeder, "dac.describe",
                   [this](http::Request& request) { return get_avatar(request); }));
  router.add(route(Method::del, avatar, ClientRole::feeder, "dac.withdraw",
                   [this](http::Request& request) { return delete_avatar(request); }));

  const auto with_challenge = [this](const http::Request& request, const Error& error) {
    return challenge(config_, request, error);
  };
  auto metadata = route(Method::get, avatar + "/metadata", ClientRole::xr_as, "dac.metadata",
                        [this](http::Request& request) { return get_metadata(request); });
  metadata.timed = true;
  metadata.error_form = with_challenge;
  router.add(std::move(metadata));
  auto content = route(Method::get, avatar + "/content", ClientRole::xr_as, "dac.content",
                       [this](http::Request& request) { return get_content(request); });
  content.timed = true;
  content.error_form = with_challenge;
  router.add(std::move(content));
}

asio::awaitable<Result<http::Response>> Role::get_avatar(http::Request& request) {
  auto found = co_await writable(request);
  if (!found) co_return found.error();
  if (!*found) co_return not_there("avatar-unknown", "expected an Avatar-id that was published");
  if ((*found)->withdrawn) co_return not_there("avatar-withdrawn", "this avatar was withdrawn");
  co_return describe(200, **found);
}

asio::awaitable<Result<std::optional<store::AvatarRecord>>> Role::writable(const http::Request& request) {
  AVSEAL_CO_TRY(auto id, tokens::check_avatar_id(request.parameters.at("avatarId")));
  auto found = co_await with_.avatars.find(std::move(id));
  if (!found) co_return found.error();
  if (*found && !request.client->covers_owner((*found)->owner))
    co_return other_owner("the owner of this avatar is not in your scope");
  co_return std::move(*found);
}

Role::Answer Role::put_content(http::Request& request) {
  AVSEAL_CO_TRY(const auto digest, parse_content_digest(request));
  auto current = co_await writable(request);
  if (!current) co_return current.error();
  auto staged = co_await contents_.stage(request, request.parameters.at("avatarId"), digest);
  if (!staged) co_return staged.error();
  co_return http::Response::json(staged->created ? 201 : 200, describe(staged->content));
}

Role::Answer Role::put_avatar(http::Request& request) {
  AVSEAL_CO_TRY(const auto expected, parse_precondition(request));
  AVSEAL_CO_TRY(auto publication, parse_publication(request.body));
  const auto& types = config_.content_types;
  if (publication.content_type && std::find(types.begin(), types.end(), *publication.content_type) == types.end())
    co_return errors::make(Category::invalid, "content-type-unknown",
                           fmt::format("expected one of {}", fmt::join(types, ", ")), "/contentType");
  auto current = co_await writable(request);
  if (!current) co_return current.error();
  if (!request.client->covers_owner(publication.owner)) co_return other_owner("the given owner is not in your scope");
  if (*current && (*current)->owner != publication.owner)
    co_return other_owner("an avatar keeps its owner; publish under another Avatar-id");
  // A withdrawn avatar is not there, but its versions go on rising.
  const bool none = !*current || (*current)->withdrawn;
  const std::int64_t last = *current ? (*current)->version : 0;
  if (expected != last && !(expected == 0 && none)) co_return version_mismatch(expected, last);

  auto prepared = co_await prepare(request, std::move(*current), publication, last + 1);
  if (!prepared) co_return prepared.error();
  auto& record = *prepared;
  record.version = last + 1;
  record.members = std::move(publication.members);
  if (publication.content_type) record.content_type = std::move(*publication.content_type);

  auto event = change_event("avatar.publish", request, record);
  auto logged = co_await log(std::move(event));
  if (!logged) co_return logged.error();
  auto replaced = co_await with_.avatars.publish(record, expected);
  if (!replaced) co_return replaced.error();
  published_.Increment();
  if (*replaced) co_await contents_.remove(std::move(**replaced));
  co_return describe(none ? 201 : 200, record);
}

asio::awaitable<Result<store::AvatarRecord>> Role::prepare(const http::Request& request,
                                                           std::optional<store::AvatarRecord> current,
                                                           const Publication& publication, std::int64_t version) {
  auto staged = co_await with_.avatars.staged(request.parameters.at("avatarId"), publication.content_digest);
  if (!staged) co_return staged.error();
  if (*staged) {
    auto key = co_await contents_.bind_key(**staged, version, request.deadline);
    if (!key) co_return key.error();
    auto record = record_of(publication, std::move(**staged));
    record.wrapped_key = std::move(*key);
    co_return record;
  }
  if (!current || current->withdrawn || current->content_digest != publication.content_digest)
    co_return errors::make(Category::conflict, "content-not-staged",
                           "no content of this digest is staged; PUT it to .../content first", "/contentDigest");
  auto key = co_await contents_.rebind_key(*current, version, request.deadline);
  if (!key) co_return key.error();
  current->wrapped_key = std::move(*key);
  co_return std::move(*current);
}

Role::Answer Role::delete_avatar(http::Request& request) {
  AVSEAL_CO_TRY(const auto expected, parse_precondition(request));
  if (expected == 0)
    co_return errors::make(Category::bad_request, "precondition-malformed",
                           "expected If-Match: \"<version>\" of the avatar to withdraw", "header If-Match");
  auto current = co_await writable(request);
  if (!current) co_return current.error();
  if (!*current) co_return not_there("avatar-unknown", "there is no such avatar");
  const auto& record = **current;
  if (record.version != expected) co_return version_mismatch(expected, record.version);
  if (record.withdrawn) co_return not_there("avatar-withdrawn", "the avatar is withdrawn already");

  auto event = change_event("avatar.withdraw", request, record);
  auto logged = co_await log(std::move(event));
  if (!logged) co_return logged.error();
  auto released = co_await with_.avatars.withdraw(record.id, expected);
  if (!released) co_return released.error();
  withdrawn_.Increment();
  if (*released) co_await contents_.remove(std::move(**released));
  co_return http::Response::empty(204);
}

asio::awaitable<Result<store::AvatarRecord>> Role::readable(const http::Request& request) {
  AVSEAL_CO_TRY(auto id, tokens::check_avatar_id(request.parameters.at("avatarId")));
  AVSEAL_CO_TRY(const auto claims, check_bearer(config_, request, id, to_unix(with_.clock())));
  auto found = co_await with_.avatars.find(std::move(id));
  if (!found) co_return found.error();
  if (!*found) co_return not_there("avatar-unknown", "there is no such avatar");
  if ((*found)->withdrawn) co_return not_there("avatar-withdrawn", "the avatar was withdrawn");
  if (claims.version > (*found)->version) co_return token_ahead(claims.version, (*found)->version);
  co_return std::move(**found);
}

Role::Answer Role::get_metadata(http::Request& request) {
  auto record = co_await readable(request);
  if (!record) co_return record.error();
  const auto version = record->version;
  auto jws = co_await metadata_.metadata(std::move(*record), request);
  if (!jws) co_return jws.error();
  auto response = http::Response::text(200, "application/jwt", std::move(*jws));
  response.headers.emplace_back("etag", etag(version));
  response.headers.emplace_back("cache-control", "no-store");
  co_return response;
}

Role::Answer Role::get_content(http::Request& request) {
  auto record = co_await readable(request);
  if (!record) co_return record.error();
  const auto version = record->version;
  auto response = co_await send_content(std::move(*record), request);
  if (response || response.error().reason != "content-missing") co_return response;
  // A newer version was published between the look-up and the opening of the file.
  auto newer = co_await readable(request);
  if (!newer) co_return newer.error();
  if (newer->version == version) co_return response;
  co_return co_await send_content(std::move(*newer), request);
}

asio::awaitable<Result<http::Response>> Role::send_content(store::AvatarRecord record, const http::Request& request) {
  const auto size = static_cast<std::uint64_t>(record.content_size);
  const auto range = parse_range(request, size);
  if (!range) {
    auto refusal = http::render_problem(request, range.error());
    refusal.headers.emplace_back("content-range", fmt::format("bytes */{}", size));
    co_return refusal;
  }
  const auto chosen = range->value_or(ByteRange{0, size == 0 ? 0 : size - 1});
  const auto digest = format_content_digest(record.content_digest);
  http::Response response;
  response.headers = {{"content-type", record.content_type},
                      {"etag", etag(record.version)},
                      {"accept-ranges", "bytes"},
                      {"cache-control", "no-store"},
                      {"repr-digest", digest}};
  if (*range) {
    response.status = 206;
    response.headers.emplace_back("content-range", fmt::format("bytes {}-{}/{}", chosen.first, chosen.last, size));
  } else {
    response.headers.emplace_back("content-digest", digest);
  }
  response.stream_size = size == 0 ? 0 : chosen.last - chosen.first + 1;
  auto source = co_await contents_.read(std::move(record), chosen, request.deadline);
  if (!source) co_return source.error();
  response.stream = std::move(*source);
  co_return response;
}

asio::awaitable<Result<void>> Role::log(ledger::Event event) {
  auto slot = co_await with_.ledger.open_slot(std::move(event));
  if (!slot) co_return slot.error();
  auto committed = co_await slot->commit(ledger::Outcome::released);
  if (!committed) co_return committed.error();
  co_return Result<void>{};
}

}  // namespace avseal::dac
