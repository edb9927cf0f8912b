#pragma once

#include <atomic>
#include <memory>
#include <optional>

#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/registry.h>

#include "clock/guard.hpp"
#include "enrollment/dependencies.hpp"
#include "http/client_table.hpp"
#include "keyring/keys.hpp"
#include "ledger/ledger.hpp"
#include "service/config.hpp"
#include "service/own_leaves.hpp"
#include "signing/role.hpp"
#include "store/store.hpp"
#include "tokens/clock.hpp"

namespace avseal::service {

class Node;

// What the io threads share; everything here is thread-safe or immutable.
struct Shared {
  Config config;
  std::shared_ptr<const http::ClientTable> clients;  // at start, as the next
  std::shared_ptr<const keyring::Keys> keys;
  std::shared_ptr<prometheus::Registry> metrics;
  std::shared_ptr<store::StoreFile> store_file;  // outlives the ledger, whose head is in it
  std::unique_ptr<clock::Guard> clock_guard;
  std::shared_ptr<ledger::Ledger> ledger;
  ledger_http::Cosigned cosigned;                               // by the ledger's witnesses
  std::optional<signing::Shared> signing;                       // with the signing role
  std::unique_ptr<enrollment::Shared> enrollment;               // with the enrollment role
  prometheus::Family<prometheus::Counter>* refusals = nullptr;  // avseal_refusals_total{event, reason}
  Clock clock = system_clock_now;
  std::atomic<bool> draining{false};
  OwnLeaves* leaves = nullptr;  // of the node itself; outlives the nodes
  std::vector<Node*> nodes;     // all io threads, once they have their roles
};

}  // namespace avseal::service
