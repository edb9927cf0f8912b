#pragma once

#include <cerrno>
#include <cstring>
#include <filesystem>

#include <fmt/format.h>

#include "tokens/result.hpp"

namespace avseal::ledger::errors {

// A system call on the log failed; errno_value tells how.
inline Error unavailable(std::string_view what, const std::filesystem::path& path, int errno_value) {
  return avseal::errors::make(Category::unavailable, "ledger-unavailable",
                              fmt::format("{} {}: {}; check the disk, then restart the service", what, path.string(),
                                          std::strerror(errno_value)));
}

inline Error stopped(std::string detail) {
  return avseal::errors::make(Category::unavailable, "ledger-unavailable", std::move(detail));
}

inline Error stalled(std::chrono::milliseconds limit) {
  return stopped(fmt::format("a write to the log takes longer than {} ms; check the disk", limit.count()));
}

// For now: tried again, it may be done.
inline Error full(std::string detail) {
  Error error = avseal::errors::make(Category::unavailable, "ledger-full", std::move(detail));
  error.retry_after = std::chrono::seconds(10);
  return error;
}

inline Error full(const std::filesystem::path& path, std::string_view found) {
  return full(fmt::format("no room for the log in {}: {}; free space or enlarge the filesystem", path.string(), found));
}

// A system call on the log failed and left nothing behind. "ledger-full" if its cause may pass.
inline Error not_done(std::string_view what, const std::filesystem::path& path, int errno_value) {
  const auto found = fmt::format("{} {}: {}", what, path.string(), std::strerror(errno_value));
  switch (errno_value) {
    case ENOSPC:
    case EDQUOT:
      return full(path.parent_path(), found);
    case EMFILE:
    case ENFILE:
    case ENOMEM:
      return full(found + "; find what takes them all, or raise the limit (LimitNOFILE, MemoryMax)");
    default:
      return unavailable(what, path, errno_value);
  }
}

// A directory was not synced: its files' names may not be on disk. They may be synced later only if the call did not
// come so far, but found no descriptor.
inline Error not_synced(const std::filesystem::path& directory, int errno_value) {
  if (errno_value == EMFILE || errno_value == ENFILE) return not_done("cannot open", directory, errno_value);
  return unavailable("cannot sync", directory, errno_value);
}

inline Error busy(std::size_t limit) {
  Error error = avseal::errors::make(Category::unavailable, "ledger-busy",
                                     fmt::format("{} events wait for the log's group commit already", limit));
  error.retry_after = std::chrono::seconds(1);
  return error;
}

inline Error index_unknown(std::uint64_t index, std::uint64_t size) {
  return avseal::errors::make(Category::not_found, "ledger-index-unknown",
                              fmt::format("there is no leaf {}: the log has {}", index, size));
}

inline Error not_covered(std::uint64_t index) {
  Error error = avseal::errors::make(Category::unavailable, "ledger-not-covered",
                                     fmt::format("no checkpoint covers leaf {} yet", index));
  error.retry_after = std::chrono::seconds(1);
  return error;
}

inline Error locked(const std::filesystem::path& directory) {
  return avseal::errors::make(
      Category::unavailable, "ledger-locked",
      fmt::format("{} is in use by another process; stop it, or give this node a directory of its own",
                  directory.string()));
}

inline Error corrupt(const std::filesystem::path& file, std::uint64_t offset, std::string_view found) {
  return avseal::errors::make(
      Category::internal, "ledger-corrupt",
      fmt::format("{} at offset {}: {}; committed events are damaged: restore the file from a copy, or keep the "
                  "directory for the auditors and start a new one under a new origin",
                  file.string(), offset, found));
}

inline Error other_origin(const std::filesystem::path& file, std::string_view origin) {
  return avseal::errors::make(
      Category::internal, "ledger-origin",
      fmt::format("{} does not belong to origin \"{}\"; configure the origin that wrote it, or another directory",
                  file.string(), origin));
}

// The log, and what is remembered of it, are not those that belong together.
inline Error head(std::string detail) {
  return avseal::errors::make(Category::unavailable, "ledger-head", std::move(detail));
}

inline Error clock_behind(std::chrono::milliseconds behind) {
  Error error = avseal::errors::make(
      Category::unavailable, "ledger-clock",
      fmt::format(
          "the clock is {} ms behind the last leaf of the log, whose times never go back; set it right, or wait "
          "until it has caught up",
          behind.count()));
  error.retry_after = std::chrono::ceil<std::chrono::seconds>(behind);
  return error;
}

inline Error event_too_large(std::size_t size, std::size_t limit) {
  return avseal::errors::make(Category::internal, "ledger-event-too-large",
                              fmt::format("an event of {} bytes; at most {} can be logged", size, limit));
}

}  // namespace avseal::ledger::errors
