#pragma once

#include <map>
#include <mutex>
#include <optional>

#include "tlog/witness.hpp"
#include "witness/signing_key.hpp"

namespace avseal::witness {

struct Config {
  std::filesystem::path directory;      // one file per log: the newest checkpoint that was cosigned
  std::vector<tlog::VerifierKey> logs;  // trusted keys; a log is known by their name, its origin, or another year's
};

// A witness's memory and judgment (C2SP tlog-witness v1.0.0, add-checkpoint): it cosigns a checkpoint only if it is
// consistent with the newest one it cosigned of that log, and remembers it on disk before it answers. Thread-safe.
class Witness {
 public:
  // Locks the directory, which must exist, and reads what was cosigned. Errors "witness-state", "witness-locked",
  // and those of a file that is not what this witness wrote.
  static Result<std::unique_ptr<Witness>> open(Config config, SigningKey key, Clock clock);
  ~Witness();
  Witness(const Witness&) = delete;
  Witness& operator=(const Witness&) = delete;

  struct Stale {
    std::uint64_t size = 0;  // of the newest cosigned checkpoint of the log
  };
  // The cosignature line; or Stale when the request does not start from the newest checkpoint. Error reasons and
  // categories: "witness-log-unknown" (not_found), "note-signature-missing", "note-signature-wrong" (forbidden),
  // "checkpoint-malformed", "witness-old-size" (bad_request), "witness-inconsistent" (unprocessable),
  // "witness-state" (unavailable; for good after a failed sync).
  struct Answer {
    std::string line;
    std::optional<Stale> stale;
  };
  Result<Answer> add(const tlog::AddCheckpoint& request);

  // The newest cosigned checkpoint of the log whose origin has this hex SHA-256, as a note with the cosignature;
  // "witness-log-unknown" if there is none.
  [[nodiscard]] Result<std::string> newest(std::string_view origin_hash) const;
  [[nodiscard]] const tlog::VerifierKey& key() const { return key_.key(); }

 private:
  struct Cosigned {
    tlog::Checkpoint head;
    std::string note;
  };
  Witness(Config config, SigningKey key, Clock clock)
      : config_(std::move(config)), key_(std::move(key)), clock_(std::move(clock)) {}
  Result<void> lock();
  Result<void> read_all();
  Result<void> read(const std::string& file);
  Result<void> remember(const std::string& origin, Cosigned cosigned);
  [[nodiscard]] std::vector<tlog::VerifierKey> keys_of(const std::string& origin) const;

  const Config config_;
  const SigningKey key_;
  const Clock clock_;
  int directory_ = -1;
  mutable std::mutex mutex_;
  std::map<std::string, Cosigned, std::less<>> cosigned_;  // by origin
  bool broken_ = false;
};

}  // namespace avseal::witness
