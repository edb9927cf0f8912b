#include "ledger_http/routes.hpp"

#include <prometheus/registry.h>

#include "http/on_pool.hpp"
#include "ledger_http/errors.hpp"
#include "ledger_http/tile_body.hpp"
#include "tokens/base64.hpp"

namespace avseal::ledger_http {

namespace {

using http::ClientRole;
using http::Method;

constexpr std::string_view text_type = "text/plain; charset=utf-8";
constexpr std::uint64_t max_manifest_body = 160 * 1024;  // the text, escaped
const std::string prefix = "/ledger/v1";

prometheus::Counter& counter(prometheus::Registry& metrics, const char* name, const char* help) {
  return prometheus::BuildCounter().Name(name).Help(help).Register(metrics).Add({});
}

std::string parameter(const http::Request& request, const std::string& name) {
  const auto found = request.parameters.find(name);
  return found == request.parameters.end() ? std::string() : found->second;
}

// RFC 9110 section 13.1.2, for the strong tags that are given out here.
bool matches(const http::Request& request, std::string_view tag) {
  const auto header = request.header("if-none-match");
  return header && (*header == "*" || header->find(tag) != std::string_view::npos);
}

// One that the route needs a role for must not come to others out of a cache.
std::string caching(const http::Request& request, std::string_view how) {
  return (request.route->roles.empty() ? "public, " : "private, ") + std::string(how);
}

}  // namespace

Routes::Routes(const Config& config, Dependencies dependencies, prometheus::Registry& metrics)
    : config_(config),
      with_(dependencies),
      logs_(config.directory, dependencies.ledger),
      reads_(prometheus::BuildCounter()
                 .Name("avseal_ledger_reads_total")
                 .Help("What was read of the log, by kind")
                 .Register(metrics)),
      reads_unlogged_(counter(metrics, "avseal_ledger_reads_unlogged_total",
                              "Searches that were answered although the log could not take their leaf")),
      erased_(counter(metrics, "avseal_ledger_subjects_erased_total", "Persons whose key was removed")) {}

http::Route Routes::route(Method method, std::string pattern, std::string event, Roles roles, Handle handle) {
  http::Route out;
  out.method = method;
  out.pattern = std::move(pattern);
  out.event = std::move(event);
  out.roles = std::move(roles);
  out.handler = [this, handle](http::Request& request) { return (this->*handle)(request); };
  return out;
}

void Routes::add_routes(http::Router& router) {
  const Roles watchers{ClientRole::operator_, ClientRole::auditor};
  const Roles clients{ClientRole::operator_, ClientRole::auditor, ClientRole::ims_as, ClientRole::xr_as,
                      ClientRole::feeder};
  add_log_routes(router, prefix);
  add_log_routes(router, prefix + "/closed/{year}");
  router.add(route(Method::get, prefix + "/proof/{index}", "ledger.proof", config_.open ? Roles{} : clients,
                   &Routes::get_proof));
  router.add(route(Method::get, prefix + "/events", "ledger.events", watchers, &Routes::get_events));
  router.add(route(Method::del, prefix + "/subjects/{impu}", "ledger.subject", {ClientRole::operator_},
                   &Routes::delete_subject));
  auto manifests = route(Method::post, prefix + "/manifests", "ledger.manifest", watchers, &Routes::post_manifest);
  manifests.body = http::BodyMode::complete;
  manifests.content_types = {"application/json"};
  manifests.max_body = max_manifest_body;
  manifests.timed = true;
  router.add(std::move(manifests));
}

// What a tlog-tiles client asks below a log's prefix.
void Routes::add_log_routes(http::Router& router, const std::string& log) {
  const Roles watchers{ClientRole::operator_, ClientRole::auditor};
  router.add(route(Method::get, log + "/checkpoint", "ledger.checkpoint", {}, &Routes::get_checkpoint));
  router.add(route(Method::get, log + "/tile/{path...}", "ledger.tile", {}, &Routes::get_tile));
  router.add(route(Method::get, log + "/tile/entries/{path...}", "ledger.entries", config_.open ? Roles{} : watchers,
                   &Routes::get_tile));
}

boost::asio::awaitable<Result<Log>> Routes::log_of(std::string year) {
  if (year.empty()) co_return logs_.current();
  auto work = [logs = logs_, year = std::move(year)] { return logs.closed(year); };
  co_return co_await http::on_pool(disk_, std::move(work));
}

Routes::Answer Routes::get_checkpoint(http::Request& request) {
  auto year = parameter(request, "year");
  auto log = co_await log_of(std::move(year));
  if (!log) co_return log.error();
  reads_.Add({{"what", "checkpoint"}}).Increment();
  const auto tag = '"' + tokens::base64url_encode(tokens::sha256(as_bytes(log->note))) + '"';
  auto response =
      matches(request, tag) ? http::Response::empty(304) : http::Response::text(200, text_type, std::move(log->note));
  response.headers.emplace_back("etag", tag);
  response.headers.emplace_back("cache-control", log->closed ? "public, max-age=86400" : "public, max-age=1");
  co_return response;
}

Routes::Answer Routes::get_tile(http::Request& request) {
  const auto at = request.path.find("/tile/");
  AVSEAL_CO_TRY(const auto name, tlog::parse_tile_path(std::string_view(request.path).substr(at + 1)));
  auto year = parameter(request, "year");
  auto log = co_await log_of(std::move(year));
  if (!log) co_return log.error();
  if (!log->covers(name)) co_return errors::tile_unknown();
  auto open = [path = log->directory / tlog::path_of(name)] { return OpenFile::open(path); };
  auto file = co_await http::on_pool(disk_, std::move(open));
  if (!file) co_return file.error();
  reads_.Add({{"what", name.level ? "tile" : "entries"}}).Increment();
  http::Response response;
  response.headers = {{"content-type", "application/octet-stream"},
                      {"cache-control", caching(request, "max-age=31536000, immutable")}};
  response.stream_size = (*file)->size;
  response.stream = std::make_unique<TileBody>(disk_, std::move(*file));
  co_return response;
}

}  // namespace avseal::ledger_http
