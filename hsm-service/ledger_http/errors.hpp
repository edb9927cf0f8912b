#pragma once

#include <cstdint>

#include <fmt/format.h>

#include "tokens/result.hpp"

namespace avseal::ledger_http::errors {

using avseal::errors::make;

inline Error no_checkpoint() {
  Error error = make(Category::unavailable, "ledger-no-checkpoint", "this log has no checkpoint yet; try again");
  error.retry_after = std::chrono::seconds(1);
  return error;
}

inline Error log_unknown() {
  return make(Category::not_found, "ledger-log-unknown",
              "expected the year of a closed log of this node; the current log is served without a year");
}

inline Error tile_unknown() {
  return make(Category::not_found, "ledger-tile-unknown",
              "the published checkpoint does not cover this tile, or its full tile has replaced it");
}

inline Error index_malformed() {
  return make(Category::bad_request, "ledger-index-malformed",
              "expected the index of a leaf: a decimal number without leading zeros", "{index}");
}

inline Error index_unknown(std::uint64_t index, std::uint64_t size) {
  return make(Category::not_found, "ledger-index-unknown",
              fmt::format("there is no leaf {}: the log has {}", index, size));
}

inline Error other_client(std::string_view client) {
  return make(Category::forbidden, "ledger-other-client",
              fmt::format("expected the client that the leaf names, an auditor or an operator; client '{}' is none of "
                          "them",
                          client));
}

inline Error query(std::string_view name, std::string detail) {
  return make(Category::bad_request, "query-invalid", std::move(detail), "query " + std::string(name));
}

inline Error subject_unknown() {
  return make(Category::not_found, "subject-unknown", "no leaf names this identity any more, or none ever did");
}

inline Error head_differs(std::uint64_t size) {
  return make(Category::invalid, "manifest-head-differs",
              fmt::format("expected the size and root hash of this log, found others for {} leaves", size),
              "/manifest");
}

}  // namespace avseal::ledger_http::errors
