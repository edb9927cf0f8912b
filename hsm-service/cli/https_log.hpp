#pragma once

#include "tlog/source.hpp"

namespace avseal::cli {

struct HttpsLog {
  std::string url;     // of the node; the log is below /ledger/v1/
  std::string cacert;  // PEM anchors of its TLS certificate
  std::string cert;    // client certificate and key, or both empty
  std::string key;
};

// The files of a node's log over HTTPS, on connections that are kept. Errors also "log-refused": the client may not
// read that.
Result<std::unique_ptr<tlog::Source>> open_https_log(HttpsLog log);

}  // namespace avseal::cli
