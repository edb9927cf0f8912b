#pragma once

#include <memory>
#include <optional>
#include <thread>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>

#include "authorization/role.hpp"
#include "dac/role.hpp"
#include "enrollment/role.hpp"
#include "http/router.hpp"
#include "ledger_http/routes.hpp"
#include "service/config.hpp"
#include "service/key_routes.hpp"
#include "service/local_signing.hpp"
#include "service/operations.hpp"
#include "service/operator_routes.hpp"
#include "service/shared.hpp"
#include "signing/role.hpp"

namespace avseal::service {

// What a reload changes on an io thread, found good before.
struct NodeChange {
  std::shared_ptr<const http::ClientTable> clients;
  std::shared_ptr<const keyring::Keys> keys;
  std::optional<authorization::Config> authorization;
  std::vector<dac::Issuer> issuers;
  std::vector<std::string> retired;  // names of keys whose certificates are not shown any more
};

// One io thread: its io_context, its keyring connections, its roles and its router. Nothing here is shared but Shared.
class Node {
 public:
  explicit Node(Shared& shared);
  ~Node();  // stops the thread, then everything on it
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  // Connects to the workers; returns when every key can sign, or why not.
  Result<void> open_keyring(keyring::KeyringConfig config);
  // Makes the roles that the configuration has, with the opened store.
  Result<void> add_roles(store::Store& store, KeyChanges& key_changes);
  // Before the ledger is closed: waits until the workers have answered, until then at most; gives up what is signed for
  // slots still or was given up before, and tells of all signatures that were made or may still be made.
  void settle(std::chrono::steady_clock::time_point until);
  void stop();

  // The two halves of a reload, on the node's own thread; see keyring::Keyring.
  boost::asio::awaitable<Result<std::shared_ptr<keyring::Prepared>>> prepare(keyring::KeyringConfig config,
                                                                             std::shared_ptr<const keyring::Keys> keys);
  boost::asio::awaitable<void> adopt(NodeChange change, std::shared_ptr<keyring::Prepared> prepared);

  [[nodiscard]] boost::asio::io_context& context() { return context_; }
  [[nodiscard]] keyring::Keyring& keyring() { return *keyring_; }
  [[nodiscard]] const http::Router& router() const { return *router_; }

 private:
  keyring::KeyringConfig with_hooks(keyring::KeyringConfig config);
  void worker_connected(const keyring::WorkerCounts& counts);
  void worker_lost(const keyring::WorkerLoss& loss);
  void late_use();
  boost::asio::awaitable<void> give_up_late(std::chrono::steady_clock::time_point until);
  boost::asio::awaitable<void> tell_late_uses();
  boost::asio::awaitable<void> close_keyring();
  void breaker_changed(const keyring::BreakerChange& change);
  boost::asio::awaitable<void> refused(const http::Request& request, const http::Route* route, const Error& error);

  Shared& shared_;
  boost::asio::io_context context_{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_;
  std::unique_ptr<keyring::Keyring> keyring_;
  bool telling_late_uses_ = false;
  bool ending_ = false;  // what is told now is told in the last moment
  std::unique_ptr<http::Router> router_;
  std::unique_ptr<Operations> operations_;
  std::unique_ptr<OperatorRoutes> operator_routes_;
  std::unique_ptr<KeyRoutes> key_routes_;
  std::unique_ptr<ledger_http::Routes> ledger_routes_;
  std::unique_ptr<signing::Role> signing_;
  std::unique_ptr<LocalSigning> local_signing_;
  std::unique_ptr<authorization::Role> authorization_;
  std::unique_ptr<dac::Role> dac_;
  std::unique_ptr<enrollment::Role> enrollment_;
  std::thread thread_;
};

}  // namespace avseal::service
