// A listener on loopback with a few routes, run by a thread of its own, and what a test asks of it.
#pragma once

#include <atomic>
#include <functional>
#include <thread>

#include <boost/asio/steady_timer.hpp>

#include "http/client.hpp"
#include "http/server.hpp"
#include "pki.hpp"

namespace avseal::http::testing {

// Polls until the condition holds; false after ten seconds.
bool eventually(const std::function<bool()>& condition);

struct TestSite {
  explicit TestSite(const std::function<void(ServerConfig&)>& change = {}, std::size_t threads = 1);
  ~TestSite();
  TestSite(const TestSite&) = delete;
  TestSite& operator=(const TestSite&) = delete;

  [[nodiscard]] double metric(const std::string& name, const std::string& label = {},
                              const std::string& value = {}) const;
  [[nodiscard]] double refusals(const std::string& reason) const {
    return metric("avseal_http_refusals_total", "reason", reason);
  }
  [[nodiscard]] std::string url(const std::string& target) const;
  [[nodiscard]] ClientConfig client(const Identity* identity = nullptr) const;
  // One HTTP/1.1 exchange by http::fetch.
  [[nodiscard]] Result<ClientResponse> fetch(const ClientConfig& config, Method method, const std::string& target,
                                             Headers headers = {}, std::string body = {}) const;
  void open_gate();  // handlers of /gate and /upload?gate=1 go on
  void drain(std::chrono::milliseconds limit);

  TempDir directory;
  Ca ca{directory.path(), "ca"};
  Ca other_ca{directory.path(), "other-ca"};
  Identity server_identity = ca.issue("server", {"DNS:localhost,IP:127.0.0.1", "serverAuth"});
  Identity ims = ca.issue("ims", {"URI:urn:uuid:11111111-1111-4111-8111-111111111111", "clientAuth"});
  Identity auditor = ca.issue("auditor", {"DNS:auditor.example", "clientAuth"});
  Identity unlisted = ca.issue("unlisted", {"DNS:unlisted.example", "clientAuth"});
  Identity foreign = other_ca.issue("foreign", {"URI:urn:uuid:11111111-1111-4111-8111-111111111111", "clientAuth"});
  Identity ue = ca.issue("ue", {"URI:sip:alice@a.example", "2.25.181263912817466153470291734926715501337"});
  Identity ue_and_client =
      ca.issue("ue-client", {"URI:sip:bob@a.example", "clientAuth,2.25.181263912817466153470291734926715501337"});

  prometheus::Registry registry;
  std::vector<std::unique_ptr<boost::asio::io_context>> contexts;
  std::shared_ptr<const ClientTable> clients;
  std::deque<Router> routers;
  std::unique_ptr<Server> server;
  std::vector<std::thread> threads;

  std::atomic<int> refused{0};  // heard by the refusal sink
  std::atomic<int> drained{0};
  std::atomic<int> at_gate{0};
  std::atomic<int> late_ends{0};  // handlers of /gate that came to their end
  std::atomic<std::uint64_t> uploaded{0};
  std::atomic<std::uint64_t> produced{0};  // by the source of /download
  std::atomic<bool> gate_open{false};

 private:
  void add_routes(Router& router);
  boost::asio::awaitable<void> gate();
};

}  // namespace avseal::http::testing
