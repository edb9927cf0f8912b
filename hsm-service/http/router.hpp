#pragma once

#include <deque>
#include <functional>
#include <initializer_list>

#include "http/message.hpp"

namespace avseal::http {

// Handlers run on the connection's io thread. An Error is turned into the route's error form after the refusal sink
// heard of it.
using Handler = std::function<boost::asio::awaitable<Result<Response>>(Request&)>;

// Renders an Error in a form of the interface's own (Ms, AccessTokenErr); the default is render_problem.
using ErrorForm = std::function<Response(const Request&, const Error&)>;

enum class BodyMode { none, complete, stream };

struct Route {
  Method method = Method::get;
  std::string pattern;  // "/calls/v1/{origid}": a parameter is one whole segment, a last {name...} all that follow
  std::vector<ClientRole> roles;  // empty: no client certificate needed
  BodyMode body = BodyMode::none;
  std::vector<std::string> content_types;  // accepted for a body, without parameters
  std::uint64_t max_body = 64 * 1024;
  ErrorForm error_form;  // empty: problem+json
  std::string event;     // name of the route in metrics and refusal leaves: "ms.signing"
  Handler handler;
  bool timed = false;  // states or judges times: refused while the clock cannot be trusted
};

// Hears every refusal, with the client if it is known (request.client may be null).
using RefusalSink = std::function<boost::asio::awaitable<void>(const Request&, const Route*, const Error&)>;

// Routes of one io thread. Answers: unknown path 404, known path with another method 405 with Allow, missing client
// certificate 401, unlisted or of another role 403, wrong content type 415, each a problem (or the route's form) that
// says what was expected and what was presented.
class Router {
 public:
  // `clock` says whether the time can be trusted; empty: always.
  Router(std::shared_ptr<const ClientTable> clients, RefusalSink refusals, std::function<Result<void>()> clock = {})
      : clients_(std::move(clients)), refusals_(std::move(refusals)), clock_(std::move(clock)) {}
  void add(Route route);
  // Another client table for every request that is matched from now on; on the io thread.
  void use_clients(std::shared_ptr<const ClientTable> clients) { clients_ = std::move(clients); }
  // The route of a request before its body is read, having checked everything above; sets parameters and client.
  [[nodiscard]] Result<const Route*> match(Request& request) const;
  // Runs the handler and renders errors; never fails. Answers 503 when request.deadline passes first: the handler then
  // ends by itself, on a request that it keeps, and its answer is dropped.
  boost::asio::awaitable<Response> run(const Route& route, Request& request) const;
  boost::asio::awaitable<Response> refuse(const Route* route, Request& request, const Error& error) const;

 private:
  std::shared_ptr<const ClientTable> clients_;
  RefusalSink refusals_;
  std::function<Result<void>()> clock_;
  struct Entry {
    Route route;
    std::vector<std::string> segments;
  };
  [[nodiscard]] Result<void> admit(const Route& route, Request& request) const;
  [[nodiscard]] std::string allowed_methods(std::string_view path) const;
  std::deque<Entry> entries_;  // routes stay where they are
};

// application/problem+json (RFC 9457) with 3GPP `cause` (TS 29.500 table 5.2.7.2-1) and our `reason`. The one place
// where a Category becomes a status.
unsigned status_of(Category category);
std::string_view cause_of(const Error& error);
Response render_problem(const Request& request, const Error& error);

}  // namespace avseal::http
