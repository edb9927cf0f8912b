#pragma once

#include <boost/asio/thread_pool.hpp>
#include <prometheus/counter.h>
#include <prometheus/family.h>

#include "http/router.hpp"
#include "keyring/keyring.hpp"
#include "ledger_http/config.hpp"
#include "ledger_http/cosigned.hpp"
#include "ledger_http/search.hpp"
#include "tlog/export_manifest.hpp"

namespace avseal::ledger_http {

struct Dependencies {
  ledger::Ledger& ledger;
  ledger::SubjectKeys& subject_keys;
  keyring::Keyring& keyring;
  const Cosigned& cosigned;
};

// /ledger/v1: what of the ledger is shown to whom. The log as C2SP tlog-tiles, receipts as tlog-proof, and for auditors
// and operators a search, signatures of exports and the erasure of a person. One per io thread.
class Routes {
 public:
  Routes(const Config& config, Dependencies dependencies, prometheus::Registry& metrics);
  void add_routes(http::Router& router);

 private:
  using Answer = boost::asio::awaitable<Result<http::Response>>;
  using Handle = Answer (Routes::*)(http::Request&);
  using Roles = std::vector<http::ClientRole>;
  http::Route route(http::Method method, std::string pattern, std::string event, Roles roles, Handle handle);
  void add_log_routes(http::Router& router, const std::string& prefix);

  Answer get_checkpoint(http::Request& request);
  Answer get_tile(http::Request& request);
  Answer get_proof(http::Request& request);
  Answer get_events(http::Request& request);
  Answer delete_subject(http::Request& request);
  Answer post_manifest(http::Request& request);

  // Of the closed log that the path or the query names, or the current one.
  boost::asio::awaitable<Result<Log>> log_of(std::string year);
  // The current log up to a published checkpoint that covers the leaf; with the signatures of its witnesses, if they
  // come in time.
  boost::asio::awaitable<Result<Log>> log_with(std::uint64_t index, http::Deadline deadline);
  // The leaf "ledger.read" of a search. Its failure is told, and no reason not to answer: auditors read also what a
  // full or stopped log holds.
  boost::asio::awaitable<void> log_read(const http::Request& request, const EventQuery& query,
                                        const std::optional<SoughtSubject>& subject);
  boost::asio::awaitable<Result<void>> erase(const http::Request& request, const tokens::Impu& subject,
                                             std::string reason);
  boost::asio::awaitable<Result<std::string>> sign(const http::Request& request, const tlog::ExportManifest& manifest,
                                                   std::string text);

  const Config& config_;
  Dependencies with_;
  Logs logs_;
  prometheus::Family<prometheus::Counter>& reads_;  // by what was read
  prometheus::Counter& reads_unlogged_;
  prometheus::Counter& erased_;
  boost::asio::thread_pool disk_{2};  // a search does not keep tiles waiting
};

}  // namespace avseal::ledger_http
