// Receipts: that a leaf is in the log of a published checkpoint, with the leaf itself as `extra`.
#include "tlog/proof.hpp"

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "audit/leaf.hpp"
#include "http/on_pool.hpp"
#include "ledger_http/errors.hpp"
#include "ledger_http/routes.hpp"

namespace avseal::ledger_http {

namespace {

constexpr std::chrono::milliseconds answer_margin{250};  // between the end of waiting and the request's own
constexpr std::chrono::milliseconds cosigned_pause{50};  // before it is looked again

struct Receipt {
  std::string client;  // that the leaf names
  std::string text;
};

// The path `/ledger/v1/proof/{index}?log=<year>`.
struct Asked {
  std::uint64_t index = 0;
  std::string year;
};

Result<Asked> parse(const http::Request& request) {
  Asked asked;
  const auto index = tlog::parse_size(request.parameters.at("index"));
  if (!index) return errors::index_malformed();
  asked.index = *index;
  for (const auto& [name, value] : request.query) {
    if (name != "log" || value.empty()) return errors::query(name, "expected only log=<year of a closed log>");
    asked.year = value;
  }
  return asked;
}

Result<Receipt> make_receipt(const Log& log, std::uint64_t index) {
  const auto source = tlog::open_directory(log.directory);
  const auto name = tlog::tile_at(std::nullopt, index, log.head.size);
  AVSEAL_TRY(const auto bundle, source->tile(name));
  AVSEAL_TRY(const auto entries, tlog::read_bundle(bundle, name.width));
  const auto entry = entries[index % tlog::tile_width];
  audit::Leaf leaf;
  AVSEAL_CHECK(audit::read_leaf(entry, leaf));
  const tlog::TileReader read = [&](const tlog::TileName& tile) { return source->tile(tile); };
  tlog::TileNodes nodes(log.head.size, read);
  tlog::Proof proof;
  proof.extra = Bytes(entry.begin(), entry.end());
  proof.index = index;
  AVSEAL_TRY(proof.hashes, tlog::inclusion_proof(index, log.head.size, std::ref(nodes)));
  AVSEAL_TRY(proof.checkpoint, tlog::Note::parse(log.note));
  return Receipt{audit::unescaped(leaf.client), proof.to_string()};
}

bool may_read(const http::Client& client, std::string_view of) {
  return client.role == http::ClientRole::auditor || client.role == http::ClientRole::operator_ || client.id == of;
}

}  // namespace

boost::asio::awaitable<Result<Log>> Routes::log_with(std::uint64_t index, http::Deadline deadline) {
  const auto covers = [index](const auto& published) { return published && published->size > index; };
  // Of a log that has stopped, what was published is given still.
  auto published = with_.ledger.published();
  if (!covers(published)) {
    auto covered = co_await with_.ledger.covered(index, deadline);
    if (!covered) co_return covered.error();
    published = std::move(*covered);
  }
  boost::asio::steady_timer timer(co_await boost::asio::this_coro::executor);
  while (with_.cosigned.awaited()) {
    auto cosigned = with_.cosigned.covering(published->origin, index);
    if (cosigned) co_return logs_.of(std::move(*cosigned));
    if (std::chrono::steady_clock::now() >= deadline) break;
    timer.expires_after(cosigned_pause);
    co_await timer.async_wait(boost::asio::use_awaitable);
  }
  auto latest = with_.ledger.published();
  if (latest && latest->origin == published->origin) published = std::move(latest);  // with those that came
  co_return logs_.of(std::move(*published));
}

Routes::Answer Routes::get_proof(http::Request& request) {
  AVSEAL_CO_TRY(const auto asked, parse(request));
  auto found = asked.year.empty() ? log_with(asked.index, request.deadline - answer_margin) : log_of(asked.year);
  auto log = co_await std::move(found);
  if (!log) co_return log.error();
  if (asked.index >= log->head.size) co_return errors::index_unknown(asked.index, log->head.size);
  auto work = [log = std::move(*log), index = asked.index] { return make_receipt(log, index); };
  auto receipt = co_await http::on_pool(disk_, std::move(work));
  if (!receipt) co_return receipt.error();
  if (!config_.open && !may_read(*request.client, receipt->client)) co_return errors::other_client(request.client->id);
  reads_.Add({{"what", "proof"}}).Increment();
  auto response = http::Response::text(200, "text/plain; charset=utf-8", std::move(receipt->text));
  response.headers.emplace_back("cache-control", "no-store");
  co_return response;
}

}  // namespace avseal::ledger_http
