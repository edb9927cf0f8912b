#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <prometheus/registry.h>

#include "ledger_http/cosigned.hpp"
#include "service/own_leaves.hpp"
#include "tlog/note.hpp"

namespace avseal::service {

struct WitnessConfig {
  std::string url;                // of its submission prefix, https://host[:port][/path]
  tlog::VerifierKey key;          // type 4
  std::filesystem::path anchors;  // of its TLS certificate
};

struct WitnessesConfig {
  std::vector<WitnessConfig> witnesses;
  std::chrono::seconds alarm_after{600};  // a checkpoint that no witness has seen for so long is an alarm
};

// Has the newest published checkpoint, and the last one of the log that was closed last, cosigned by each witness (C2SP
// tlog-witness, add-checkpoint), on threads of its own: neither a slow witness, or a name that is looked up for long,
// nor a slow disk holds anything else up, another witness neither. Alarms: a log line, the leaves "ledger.unwitnessed"
// and "ledger.witnessed", and metrics.
class Witnesses {
 public:
  // All that is referred to outlives this.
  Witnesses(WitnessesConfig config, ledger::Ledger& ledger, ledger_http::Cosigned& cosigned,
            std::filesystem::path directory, OwnLeaves& leaves, prometheus::Registry& metrics);
  ~Witnesses();  // may last as long as a name is looked up
  Witnesses(const Witnesses&) = delete;
  Witnesses& operator=(const Witnesses&) = delete;

  // Nothing that is referred to is used any more; waits for no network.
  void stop();

 private:
  class Feeder;
  boost::asio::io_context context_{1};
  std::unique_ptr<Feeder> feeder_;
  std::thread thread_;
};

}  // namespace avseal::service
