#include "witness/routes.hpp"

#include <fmt/format.h>

namespace avseal::witness {

namespace {

constexpr std::string_view text_plain = "text/plain; charset=utf-8";

boost::asio::awaitable<Result<http::Response>> add_checkpoint(Witness& witness, http::Request& request) {
  AVSEAL_CO_TRY(const auto asked, tlog::AddCheckpoint::parse(request.body));
  AVSEAL_CO_TRY(const auto answer, witness.add(asked));
  if (answer.stale) co_return http::Response::text(409, "text/x.tlog.size", fmt::format("{}\n", answer.stale->size));
  co_return http::Response::text(200, text_plain, answer.line);
}

boost::asio::awaitable<Result<http::Response>> newest(const Witness& witness, const http::Request& request) {
  AVSEAL_CO_TRY(auto note, witness.newest(request.parameters.at("origin")));
  co_return http::Response::text(200, text_plain, std::move(note));
}

}  // namespace

void add_routes(http::Router& router, Witness& witness) {
  http::Route add;
  add.method = http::Method::post;
  add.pattern = "/add-checkpoint";
  add.body = http::BodyMode::complete;
  add.max_body = tlog::max_note_size;
  add.event = "witness.add-checkpoint";
  add.handler = [&witness](http::Request& request) { return add_checkpoint(witness, request); };
  router.add(std::move(add));

  http::Route read;
  read.pattern = "/{origin}/checkpoint";
  read.event = "witness.checkpoint";
  read.handler = [&witness](http::Request& request) { return newest(witness, request); };
  router.add(std::move(read));
}

}  // namespace avseal::witness
