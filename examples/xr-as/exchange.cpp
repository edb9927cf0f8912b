#include "examples/xr-as/exchange.hpp"

#include <boost/url/encode.hpp>
#include <boost/url/rfc/unreserved_chars.hpp>
#include <fmt/format.h>

#include "tokens/digest.hpp"

namespace avseal::xr_as {

namespace {

using boost::asio::awaitable;

std::string encoded(std::string_view text) {
  return boost::urls::encode({text.data(), text.size()}, boost::urls::unreserved_chars);
}

std::string form(const std::vector<std::pair<std::string_view, std::string_view>>& members) {
  std::string text;
  for (const auto& [name, value] : members) {
    if (!text.empty()) text += '&';
    text += fmt::format("{}={}", name, encoded(value));
  }
  return text;
}

// The answer of another party, shortened for a line of log: it is not ours to trust.
std::string quoted(std::string_view body) {
  constexpr std::size_t most = 300;
  std::string text;
  for (const char c : body.substr(0, most)) text.push_back(c >= ' ' && c <= '~' ? c : ' ');
  return text;
}

Error refused(std::string_view reason, unsigned status, std::string_view body) {
  return errors::make(Category::forbidden, reason, fmt::format("answered {}: {}", status, quoted(body)));
}

http::Headers bearer(const Grant& grant, std::string_view accept) {
  return {{"authorization", "Bearer " + grant.compact}, {"accept", std::string(accept)}};
}

std::string avatar_url(const CallConfig& config, const CallRequest& request, std::string_view part) {
  return fmt::format("{}/dac/v1/avatars/{}/{}", config.dac_url, encoded(request.avatar), part);
}

awaitable<Result<void>> put(const CallConfig& config, std::string url, std::string type, std::string body) {
  http::Headers headers{{"content-type", std::move(type)}};
  auto answer =
      co_await http::fetch(config.tls, http::Method::put, std::move(url), std::move(headers), std::move(body));
  if (!answer) co_return answer.error();
  if (answer->status != 204) co_return refused("mf-refused", answer->status, answer->body);
  co_return Result<void>{};
}

}  // namespace

Result<Grant> read_grant(unsigned status, std::string_view body) {
  if (status != 200) return refused("access-token-refused", status, body);
  AVSEAL_TRY(const auto value, tokens::parse_json(body));
  AVSEAL_TRY(auto reader, tokens::ObjectReader::open(value));
  AVSEAL_TRY(const std::string_view compact, reader.string("access_token"));
  AVSEAL_TRY(const std::string_view type, reader.string("token_type"));
  if (type != "Bearer") return refused("access-token-refused", status, "token_type is not Bearer");
  AVSEAL_TRY(const tokens::AccessToken token, tokens::parse_access_token(compact));
  return Grant{std::string(compact), token.claims};
}

awaitable<Result<Grant>> ask_for_access(const CallConfig& config, const CallRequest& request) {
  std::string body = form({{"grant_type", "client_credentials"},
                           {"nfInstanceId", config.nf_instance_id},
                           {"scope", "ndac-avatar"},
                           {"signed_avatar_id", request.signed_avatar_id},
                           {"ue_token", request.ue_token},
                           {"application_id", request.application}});
  http::Headers headers{{"content-type", "application/x-www-form-urlencoded"}, {"accept", "application/json"}};
  auto answer = co_await http::fetch(config.tls, http::Method::post, config.authorization_url + "/oauth2/token",
                                     std::move(headers), std::move(body));
  if (!answer) co_return answer.error();
  co_return read_grant(answer->status, answer->body);
}

awaitable<Result<std::string>> fetch_metadata(const CallConfig& config, const CallRequest& request,
                                              const Grant& grant) {
  std::string url = avatar_url(config, request, "metadata");
  auto answer = co_await http::fetch(config.tls, http::Method::get, std::move(url), bearer(grant, "application/jose"));
  if (!answer) co_return answer.error();
  if (answer->status != 200) co_return refused("metadata-refused", answer->status, answer->body);
  co_return std::move(answer->body);
}

awaitable<Result<std::string>> fetch_content(const CallConfig& config, const CallRequest& request, const Grant& grant,
                                             const tokens::AvatarMetadata& metadata) {
  http::ClientConfig tls = config.tls;
  tls.max_body = config.max_content;
  tls.timeout = std::chrono::seconds(60);
  const auto content = std::make_shared<std::string>();
  const auto digest = std::make_shared<tokens::Sha256Stream>();
  std::function<Result<void>(ByteView)> sink = [content, digest](ByteView bytes) -> Result<void> {
    content->append(as_text(bytes));
    digest->update(bytes);
    return {};
  };
  std::string url = avatar_url(config, request, "content");
  auto answer = co_await http::fetch_to(tls, std::move(url), bearer(grant, "*/*"), std::move(sink));
  if (!answer) co_return answer.error();
  if (answer->status != 200) co_return refused("content-refused", answer->status, answer->body + *content);
  const tokens::Sha256 sha256 = digest->finish();
  AVSEAL_CO_CHECK(tokens::check_content(metadata, sha256, static_cast<std::int64_t>(content->size())));
  co_return std::move(*content);
}

awaitable<Result<void>> hand_to_mf(const CallConfig& config, const CallRequest& request, std::string metadata,
                                   std::string content) {
  const std::string base = fmt::format("{}/media/{}/", config.mf_url, encoded(request.session));
  auto taken = co_await put(config, base + "metadata", "application/jose", std::move(metadata));
  if (!taken) co_return taken.error();
  co_return co_await put(config, base + "content", "application/octet-stream", std::move(content));
}

}  // namespace avseal::xr_as
