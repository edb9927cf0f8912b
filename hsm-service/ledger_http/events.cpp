// The search of auditors. It is itself in the log before it is answered.
#include <spdlog/spdlog.h>

#include "http/event.hpp"
#include "http/on_pool.hpp"
#include "ledger_http/page.hpp"
#include "ledger_http/routes.hpp"

namespace avseal::ledger_http {

Routes::Answer Routes::get_events(http::Request& request) {
  AVSEAL_CO_TRY(auto query, EventQuery::parse(request.query));
  auto log = co_await log_of(query.log);
  if (!log) co_return log.error();
  std::optional<SoughtSubject> subject;
  if (query.subject) {
    auto key = co_await with_.subject_keys.find(query.subject->canonical());
    if (!key) co_return key.error();
    if (*key) subject = SoughtSubject{config_.origin, query.subject->canonical(), std::move(**key)};
  }
  const bool unknown = query.subject && !subject;
  const bool csv = query.csv;
  co_await log_read(request, query, subject);
  const Log shown = std::move(*log);
  Result<Page> page = Page{};
  if (!unknown) {
    auto work = [shown, query = std::move(query), subject = std::move(subject)] {
      return search(shown, query, subject);
    };
    page = co_await http::on_pool(disk_, std::move(work));
  }
  if (!page) co_return page.error();
  reads_.Add({{"what", "events"}}).Increment();
  if (csv) co_return as_csv(*page);
  co_return as_json(shown, *page, unknown);
}

// A person without a key gets none by being asked for.
boost::asio::awaitable<void> Routes::log_read(const http::Request& request, const EventQuery& query,
                                              const std::optional<SoughtSubject>& subject) {
  auto event = http::event_of(request, "ledger.read", {}, query.describe());
  if (subject) event.subjects.push_back({"sub", subject->value});
  if (query.subject && !subject) event.details["subject"] = "unknown";
  auto slot = co_await with_.ledger.open_slot(std::move(event));
  Result<void> logged = slot ? Result<void>() : slot.error();
  if (slot) {
    auto committed = co_await slot->commit(ledger::Outcome::released);
    if (!committed) logged = committed.error();
  }
  if (logged) co_return;
  reads_unlogged_.Increment();
  spdlog::warn("event=ledger-read-unlogged client={} request_id={} reason={}", request.client->id, request.request_id,
               logged.error().reason);
}

}  // namespace avseal::ledger_http
