#include "http/router.hpp"

#include <algorithm>
#include <span>

#include <boost/algorithm/string/case_conv.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <spdlog/spdlog.h>

namespace avseal::http {

namespace asio = boost::asio;

namespace {

std::vector<std::string_view> split(std::string_view path) {
  std::vector<std::string_view> segments;
  if (path.size() <= 1) return segments;
  path.remove_prefix(1);
  for (std::size_t slash = path.find('/'); slash != std::string_view::npos; slash = path.find('/')) {
    segments.push_back(path.substr(0, slash));
    path.remove_prefix(slash + 1);
  }
  segments.push_back(path);
  return segments;
}

bool is_parameter(std::string_view segment) {
  return segment.starts_with('{') && segment.ends_with('}');
}

// A last parameter that takes all segments from its own on.
bool takes_rest(const std::vector<std::string>& pattern) {
  return !pattern.empty() && pattern.back().ends_with("...}");
}

// How many segments of the path parameters take; nullopt if the pattern does not match.
std::optional<std::size_t> parameters_of(const std::vector<std::string>& pattern,
                                         const std::vector<std::string_view>& path) {
  const bool rest = takes_rest(pattern);
  if (rest ? path.size() < pattern.size() : path.size() != pattern.size()) return std::nullopt;
  std::size_t count = path.size() - pattern.size();
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    if (is_parameter(pattern[i])) {
      ++count;
    } else if (pattern[i] != path[i]) {
      return std::nullopt;
    }
  }
  return count;
}

void bind_parameters(const std::vector<std::string>& pattern, const std::vector<std::string_view>& path,
                     Request& request) {
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    const std::string& name = pattern[i];
    if (!is_parameter(name)) continue;
    if (i + 1 == pattern.size() && takes_rest(pattern)) {
      const std::span rest(path.begin() + static_cast<std::ptrdiff_t>(i), path.end());
      request.parameters.insert_or_assign(name.substr(1, name.size() - 5), fmt::format("{}", fmt::join(rest, "/")));
    } else {
      request.parameters.insert_or_assign(name.substr(1, name.size() - 2), std::string(path[i]));
    }
  }
}

std::string describe(const tokens::Certificate& certificate) {
  return fmt::format("certificate '{}' (SAN URI [{}], SAN DNS [{}], SHA-256 {})", certificate.subject(),
                     fmt::join(certificate.san_uris(), ", "), fmt::join(certificate.san_dns(), ", "),
                     certificate.sha256_hex());
}

std::string roles_text(const std::vector<ClientRole>& roles) {
  std::string text;
  for (const ClientRole role : roles) {
    if (!text.empty()) text += " or ";
    text += to_string(role);
  }
  return text;
}

Error method_not_allowed(std::string_view method, const std::string& path, const std::string& allowed) {
  return errors::make(Category::method_not_allowed, "method-not-allowed",
                      fmt::format("{} is not served on {}: expected {}", method, path, allowed));
}

// "type/subtype", lower case, without parameters; empty if a parameter other than charset=utf-8 follows.
std::string media_type(std::string_view value) {
  const std::size_t semicolon = value.find(';');
  std::string type = boost::algorithm::to_lower_copy(std::string(value.substr(0, semicolon)));
  while (!type.empty() && (type.back() == ' ' || type.back() == '\t')) type.pop_back();
  if (semicolon == std::string_view::npos) return type;
  std::string parameter = boost::algorithm::to_lower_copy(std::string(value.substr(semicolon + 1)));
  std::erase_if(parameter, [](char c) { return c == ' ' || c == '\t'; });
  const bool utf8 = parameter == "charset=utf-8" || parameter == "charset=\"utf-8\"";
  return utf8 ? type : std::string();
}

Result<void> check_content_type(const Route& route, const Request& request) {
  if (route.body == BodyMode::none) return {};
  const auto encoding = request.header("content-encoding");
  if (encoding && *encoding != "identity") {
    return errors::make(Category::unsupported_media_type, "content-encoding",
                        fmt::format("content must not be encoded, it came as '{}'", *encoding),
                        "header content-encoding");
  }
  if (route.content_types.empty()) return {};
  const auto given = request.header("content-type");
  const std::string type = given ? media_type(*given) : std::string();
  if (std::find(route.content_types.begin(), route.content_types.end(), type) != route.content_types.end()) return {};
  return errors::make(Category::unsupported_media_type, "content-type",
                      fmt::format("expected {}, {}", fmt::join(route.content_types, " or "),
                                  given ? fmt::format("it came as '{}'", *given) : "there was no Content-Type"),
                      "header content-type");
}

// A handler at work. Owns the request, so that a handler that outlives its deadline works on memory that stays.
struct Run {
  Run(const asio::any_io_executor& executor, Request&& taken) : request(std::move(taken)), timer(executor) {}
  Request request;
  asio::steady_timer timer;
  std::optional<Result<Response>> result;
};

asio::awaitable<void> work(std::shared_ptr<Run> run, const Route& route) {
  try {
    Result<Response> result = co_await route.handler(run->request);
    run->result.emplace(std::move(result));
  } catch (const std::exception& e) {
    spdlog::error("handler of {} threw: {} (request {})", route.event, e.what(), run->request.request_id);
    run->result.emplace(
        errors::make(Category::internal, "handler-failed", "an internal error; the log names it by the request id"));
  }
  run->timer.cancel();
}

// What of a request an answer and its log need, for a request whose rest a late handler keeps.
Request summary(const Request& request) {
  Request out;
  out.method = request.method;
  out.path = request.path;
  out.parameters = request.parameters;
  out.query = request.query;
  out.headers = request.headers;
  out.peer = request.peer;
  out.client = request.client;
  out.clients = request.clients;
  out.peer_address = request.peer_address;
  out.request_id = request.request_id;
  out.deadline = request.deadline;
  out.route = request.route;
  out.receipt = request.receipt;
  return out;
}

// What every answer says: which request it is for, and where the ledger has it.
void finish(const Request& request, Response& response) {
  response.set("x-request-id", request.request_id);
  if (!*request.receipt) return;
  const auto& leaf = **request.receipt;
  response.set("avseal-ledger-index", std::to_string(leaf.index));
  response.set("avseal-ledger-origin", leaf.origin);
}

}  // namespace

void Router::add(Route route) {
  Entry entry{std::move(route), {}};
  for (const std::string_view segment : split(entry.route.pattern)) entry.segments.emplace_back(segment);
  entries_.push_back(std::move(entry));
}

std::string Router::allowed_methods(std::string_view path) const {
  const auto segments = split(path);
  std::vector<std::string_view> methods;
  const auto add = [&](std::string_view method) {
    if (std::find(methods.begin(), methods.end(), method) == methods.end()) methods.push_back(method);
  };
  for (const Entry& entry : entries_) {
    if (!parameters_of(entry.segments, segments)) continue;
    add(to_string(entry.route.method));
    if (entry.route.method == Method::get) add("HEAD");
  }
  return fmt::format("{}", fmt::join(methods, ", "));
}

Result<const Route*> Router::match(Request& request) const {
  const auto segments = split(request.path);
  const Method wanted = request.method;
  const Entry* best = nullptr;
  std::size_t best_count = 0;
  const Entry* same_path = nullptr;
  for (const Entry& entry : entries_) {
    const auto count = parameters_of(entry.segments, segments);
    if (!count) continue;
    same_path = &entry;
    const bool fits = entry.route.method == wanted || (wanted == Method::head && entry.route.method == Method::get);
    if (fits && (!best || *count < best_count)) {
      best = &entry;
      best_count = *count;
    }
  }
  if (!best) {
    if (same_path) {
      request.route = &same_path->route;  // whose error form the answer has
      return method_not_allowed(to_string(wanted), request.path, allowed_methods(request.path));
    }
    return errors::make(Category::not_found, "route-unknown", fmt::format("nothing is served at {}", request.path));
  }
  bind_parameters(best->segments, segments, request);
  request.route = &best->route;
  request.clients = clients_;
  if (request.peer) request.client = clients_->find(*request.peer);
  AVSEAL_CHECK(admit(best->route, request));
  AVSEAL_CHECK(check_content_type(best->route, request));
  if (best->route.timed && clock_) AVSEAL_CHECK(clock_());
  return &best->route;
}

Result<void> Router::admit(const Route& route, Request& request) const {
  if (route.roles.empty()) return {};
  const std::string needed = roles_text(route.roles);
  if (!request.peer) {
    return errors::make(Category::unauthenticated, "client-certificate-missing",
                        fmt::format("expected a TLS client certificate of role {}; none was presented", needed));
  }
  if (!request.client) {
    return errors::make(
        Category::forbidden, "client-unknown",
        fmt::format("expected a client of role {}; {} is not in the client table", needed, describe(*request.peer)));
  }
  if (std::find(route.roles.begin(), route.roles.end(), request.client->role) == route.roles.end()) {
    return errors::make(Category::forbidden, "client-role",
                        fmt::format("expected a client of role {}; client '{}' has role {}", needed, request.client->id,
                                    to_string(request.client->role)));
  }
  return {};
}

asio::awaitable<Response> Router::run(const Route& route, Request& request) const {
  const auto executor = co_await asio::this_coro::executor;
  const auto run = std::make_shared<Run>(executor, std::move(request));
  asio::co_spawn(executor, work(run, route), asio::detached);
  if (!run->result) {
    const Deadline deadline = run->request.deadline;
    run->timer.expires_at(deadline == Deadline{} ? Deadline::max() : deadline);
    boost::system::error_code ignored;
    co_await run->timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  }
  if (!run->result) {
    request = summary(run->request);
    const Error late = errors::make(Category::timeout, "deadline", "the request's deadline passed; try again");
    co_return co_await refuse(&route, request, late);
  }
  request = std::move(run->request);
  if (run->result->has_error()) {
    const Error error = std::move(*run->result).error();
    co_return co_await refuse(&route, request, error);
  }
  Response response = std::move(**run->result);
  finish(request, response);
  co_return response;
}

asio::awaitable<Response> Router::refuse(const Route* route, Request& request, const Error& error) const {
  request.refusal = error.reason;
  if (refusals_) co_await refusals_(request, route, error);
  Response response = route && route->error_form ? route->error_form(request, error) : render_problem(request, error);
  const bool retry = response.status == 503 || error.retry_after.count() > 0;
  if (retry) response.set("retry-after", std::to_string(std::max<std::int64_t>(1, error.retry_after.count())));
  if (response.status == 405) response.set("allow", allowed_methods(request.path));
  finish(request, response);
  co_return response;
}

}  // namespace avseal::http
