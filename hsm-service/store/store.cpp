#include "store/store.hpp"

#include <fmt/format.h>

#include "store/aggregates.hpp"

namespace avseal::store {

namespace {

class SqliteStore final : public Store {
 public:
  SqliteStore(std::shared_ptr<StoreFile> file, Secret row_key, prometheus::Registry& metrics)
      : file_(std::move(file)), seal_(std::move(row_key), metrics) {}

  Subscriptions& subscriptions() override { return *subscriptions_; }
  Avatars& avatars() override { return *avatars_; }
  CallStates& calls() override { return *calls_; }
  UeCertificates& ue_certificates() override { return *ue_certificates_; }
  Devices& devices() override { return *devices_; }
  Manifests& manifests() override { return *manifests_; }
  DocumentVersions& document_versions() override { return *document_versions_; }
  EnrolmentCodes& enrolment_codes() override { return *enrolment_codes_; }
  OperatorStates& operator_states() override { return *operator_states_; }
  ReplayCache& replay_cache() override { return *replay_cache_; }
  IdempotencyKeys& idempotency_keys() override { return *idempotency_keys_; }
  KeyStates& key_states() override { return *key_states_; }
  ledger::SubjectKeys& subject_keys() override { return *subject_keys_; }

  Result<void> healthy() override { return database_.healthy(); }
  void close() override { file_->close(); }

  Result<void> seal_subject_keys() {
    return database_.write_and_wait([this](Connection& c) { return store::seal_subject_keys(c, seal_); });
  }

 private:
  const std::shared_ptr<StoreFile> file_;
  Database& database_ = file_->database();
  const RowSeal seal_;
  const std::unique_ptr<Subscriptions> subscriptions_ = make_subscriptions(database_, seal_);
  const std::unique_ptr<Avatars> avatars_ = make_avatars(database_, seal_);
  const std::unique_ptr<CallStates> calls_ = make_call_states(database_, seal_);
  const std::unique_ptr<UeCertificates> ue_certificates_ = make_ue_certificates(database_, seal_);
  const std::unique_ptr<Devices> devices_ = make_devices(database_, seal_);
  const std::unique_ptr<Manifests> manifests_ = make_manifests(database_, seal_);
  const std::unique_ptr<DocumentVersions> document_versions_ = make_document_versions(database_, seal_);
  const std::unique_ptr<EnrolmentCodes> enrolment_codes_ = make_enrolment_codes(database_, seal_);
  const std::unique_ptr<OperatorStates> operator_states_ = make_operator_states(database_, seal_);
  const std::unique_ptr<ReplayCache> replay_cache_ = make_replay_cache(database_);
  const std::unique_ptr<IdempotencyKeys> idempotency_keys_ = make_idempotency_keys(database_, seal_);
  const std::unique_ptr<KeyStates> key_states_ = make_key_states(database_, seal_);
  const std::unique_ptr<ledger::SubjectKeys> subject_keys_ = make_subject_keys(database_, seal_);
};

}  // namespace

StoreFile::StoreFile(std::unique_ptr<Database> database)
    : database_(std::move(database)), heads_(make_ledger_heads(*database_)) {}

StoreFile::~StoreFile() = default;

Result<std::shared_ptr<StoreFile>> StoreFile::open(const std::filesystem::path& file, Clock clock,
                                                   prometheus::Registry& metrics) {
  auto maintenance = [clock = std::move(clock)](Connection& c) { return purge_expired(c, to_unix(clock())); };
  AVSEAL_TRY(auto database, Database::open(file, std::move(maintenance), metrics));
  return std::shared_ptr<StoreFile>(new StoreFile(std::move(database)));
}

Result<bool> StoreFile::has_sealed_rows() const {
  return database_->read_and_wait([](Connection& c) -> Result<bool> {
    std::vector<std::string> tables;
    AVSEAL_TRY(auto sealed, c.query("SELECT m.name FROM sqlite_schema AS m JOIN pragma_table_info(m.name) AS t "
                                    "WHERE m.type = 'table' AND t.name = 'seal'"));
    for (;;) {
      AVSEAL_TRY(const bool any, sealed.step());
      if (!any) break;
      tables.push_back(sealed.text(0));
    }
    for (const auto& table : tables) {
      AVSEAL_TRY(const auto rows, c.number(fmt::format("SELECT EXISTS (SELECT 1 FROM {})", table)));
      if (rows != 0) return true;
    }
    return false;
  });
}

void StoreFile::close() {
  database_->close();
}

Result<std::shared_ptr<Store>> Store::open(std::shared_ptr<StoreFile> file, Secret row_key,
                                           prometheus::Registry& metrics) {
  auto store = std::make_shared<SqliteStore>(std::move(file), std::move(row_key), metrics);
  AVSEAL_CHECK(store->seal_subject_keys());
  return std::shared_ptr<Store>(std::move(store));
}

Result<std::shared_ptr<Store>> Store::open(const std::filesystem::path& file, Secret row_key, Clock clock,
                                           prometheus::Registry& metrics) {
  AVSEAL_TRY(auto opened, StoreFile::open(file, std::move(clock), metrics));
  return open(std::move(opened), std::move(row_key), metrics);
}

}  // namespace avseal::store
