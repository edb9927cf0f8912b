#include "examples/mf/routes.hpp"

#include <fmt/format.h>

namespace avseal::mf {

namespace {

using boost::asio::awaitable;

awaitable<Result<http::Response>> put_metadata(std::shared_ptr<Receiver> receiver, Report report,
                                               http::Request& request) {
  const std::string& session = request.parameters.at("session");
  const auto metadata = receiver->accept_metadata(session, request.body);
  if (!metadata) {
    report(fmt::format("refused  metadata of session {}: {} [{}]", session, metadata.error().detail,
                       metadata.error().reason));
    co_return metadata.error();
  }
  report(fmt::format("verified metadata of session {}: avatar {} version {} of {}", session, metadata->id,
                     metadata->version, metadata->owner.canonical()));
  co_return http::Response::empty(204);
}

awaitable<Result<void>> receive(Receiver& receiver, const std::string& session, http::BodyReader& body) {
  AVSEAL_CO_TRY(const std::unique_ptr<Content> content, receiver.begin_content(session));
  while (true) {
    auto bytes = co_await body.read();
    if (!bytes) co_return bytes.error();
    if (bytes->empty()) break;
    AVSEAL_CO_CHECK(content->append(*bytes));
  }
  co_return receiver.finish(*content);
}

awaitable<Result<http::Response>> put_content(std::shared_ptr<Receiver> receiver, Report report,
                                              http::Request& request) {
  const std::string& session = request.parameters.at("session");
  const Result<void> taken = co_await receive(*receiver, session, *request.stream);
  if (!taken) {
    report(fmt::format("refused  content of session {}: {} [{}]", session, taken.error().detail, taken.error().reason));
    co_return taken.error();
  }
  report(fmt::format("verified content of session {}: handed to the renderer", session));
  co_return http::Response::empty(204);
}

}  // namespace

void add_routes(http::Router& router, std::shared_ptr<Receiver> receiver, Report report) {
  http::Route metadata;
  metadata.method = http::Method::put;
  metadata.pattern = "/media/{session}/metadata";
  metadata.roles = {http::ClientRole::xr_as};
  metadata.body = http::BodyMode::complete;
  metadata.content_types = {"application/jose"};
  metadata.event = "mf.metadata";
  metadata.handler = [receiver, report](http::Request& request) { return put_metadata(receiver, report, request); };
  router.add(std::move(metadata));

  http::Route content;
  content.method = http::Method::put;
  content.pattern = "/media/{session}/content";
  content.roles = {http::ClientRole::xr_as};
  content.body = http::BodyMode::stream;
  content.content_types = {"application/octet-stream"};
  content.max_body = std::uint64_t{1} << 30U;
  content.event = "mf.content";
  content.handler = [receiver, report](http::Request& request) { return put_content(receiver, report, request); };
  router.add(std::move(content));
}

}  // namespace avseal::mf
