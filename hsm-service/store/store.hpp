#pragma once

#include <filesystem>
#include <memory>

#include <prometheus/registry.h>

#include "store/interfaces.hpp"
#include "tokens/secret.hpp"

namespace avseal::store {

class Database;

// A node's SQLite file: one writer thread, a pool of readers, schema versioned with migrations. What needs no row key
// can be used at once.
class StoreFile {
 public:
  static Result<std::shared_ptr<StoreFile>> open(const std::filesystem::path& file, Clock clock,
                                                 prometheus::Registry& metrics);
  ~StoreFile();

  [[nodiscard]] ledger::HeadStore& ledger_heads() const { return *heads_; }
  [[nodiscard]] Result<bool> has_sealed_rows() const;  // of which the row key must be known
  [[nodiscard]] Database& database() const { return *database_; }
  void close();

 private:
  explicit StoreFile(std::unique_ptr<Database> database);
  const std::unique_ptr<Database> database_;
  const std::unique_ptr<ledger::HeadStore> heads_;
};

// What is in the file, with the key of its rows.
class Store {
 public:
  // row_key authenticates granting rows (HMAC-SHA-256); it is unwrapped by the HSM at start.
  static Result<std::shared_ptr<Store>> open(std::shared_ptr<StoreFile> file, Secret row_key,
                                             prometheus::Registry& metrics);
  static Result<std::shared_ptr<Store>> open(const std::filesystem::path& file, Secret row_key, Clock clock,
                                             prometheus::Registry& metrics);
  virtual ~Store() = default;

  virtual Subscriptions& subscriptions() = 0;
  virtual Avatars& avatars() = 0;
  virtual CallStates& calls() = 0;
  virtual UeCertificates& ue_certificates() = 0;
  virtual Devices& devices() = 0;
  virtual Manifests& manifests() = 0;
  virtual DocumentVersions& document_versions() = 0;
  virtual EnrolmentCodes& enrolment_codes() = 0;
  virtual OperatorStates& operator_states() = 0;
  virtual ReplayCache& replay_cache() = 0;
  virtual IdempotencyKeys& idempotency_keys() = 0;
  virtual KeyStates& key_states() = 0;
  virtual ledger::SubjectKeys& subject_keys() = 0;

  virtual Result<void> healthy() = 0;
  virtual void close() = 0;
};

}  // namespace avseal::store
