#pragma once

#include <filesystem>
#include <memory>

#include <prometheus/registry.h>

#include "store/interfaces.hpp"
#include "tokens/secret.hpp"

namespace avseal::store {

// A node's SQLite file: one writer thread, a pool of readers, schema versioned with migrations.
class Store {
 public:
  // row_key authenticates granting rows (HMAC-SHA-256); it is unwrapped by the HSM at start.
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
