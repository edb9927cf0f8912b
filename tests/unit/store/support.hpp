#pragma once

#include <atomic>
#include <cstdlib>
#include <fstream>
#include <optional>
#include <thread>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <prometheus/text_serializer.h>
#include <sqlite3.h>

#include "../support/run.hpp"
#include "../support/temp_dir.hpp"
#include "store/store.hpp"
#include "tokens/digest.hpp"

namespace avseal::store::test {

using avseal::test::run;
using avseal::test::TempDir;

inline tokens::Impu impu(std::string_view text) {
  return tokens::Impu::parse(text).value();
}

// What the sqlite3 tool does to the file behind the service's back.
class Intruder {
 public:
  explicit Intruder(const std::filesystem::path& file) {
    EXPECT_EQ(sqlite3_open(file.c_str(), &db_), SQLITE_OK);
    sqlite3_busy_timeout(db_, 5000);
  }
  Intruder(const Intruder&) = delete;
  Intruder& operator=(const Intruder&) = delete;
  ~Intruder() { sqlite3_close(db_); }

  int run(const std::string& sql) {
    EXPECT_EQ(sqlite3_exec(db_, sql.c_str(), nullptr, nullptr, nullptr), SQLITE_OK) << sqlite3_errmsg(db_);
    return sqlite3_changes(db_);
  }
  // First column of the first row.
  std::string text(const std::string& sql) {
    std::string found;
    const auto keep = [](void* out, int, char** values, char**) {
      if (values[0] != nullptr) *static_cast<std::string*>(out) = values[0];
      return 0;
    };
    EXPECT_EQ(sqlite3_exec(db_, sql.c_str(), keep, &found, nullptr), SQLITE_OK) << sqlite3_errmsg(db_);
    return found;
  }

 private:
  sqlite3* db_ = nullptr;
};

// What brings a file of today back to schema 6; to schema 4, with the certificates of the simple form; and to schema 1.
inline const std::string to_schema_six = R"(
ALTER TABLE subject_key DROP COLUMN seal;
PRAGMA user_version = 6;
)";
inline const std::string to_schema_four = to_schema_six + R"(
DROP TABLE ledger_head;
ALTER TABLE enrolment_code DROP COLUMN simple;
DROP TABLE device; DROP TABLE device_identity; DROP TABLE device_revocation;
DROP TABLE manifest; DROP TABLE manifest_device; DROP TABLE document_version;
CREATE TABLE device (certificate_x5t TEXT PRIMARY KEY NOT NULL, impu TEXT NOT NULL, serial_hex TEXT NOT NULL,
                     not_after INTEGER NOT NULL, revoked INTEGER NOT NULL, seal BLOB NOT NULL) STRICT;
INSERT INTO device SELECT certificate_x5t, impu, serial_hex, not_after, revoked_at, seal FROM ue_certificate;
DROP TABLE ue_certificate;
PRAGMA user_version = 4;
)";
inline const std::string to_schema_one =
    to_schema_four +
    "DROP TABLE operator_state; DROP TABLE key_state; DROP TABLE idempotency_key; DROP TABLE idempotency_count; "
    "PRAGMA user_version = 1";

struct Fixture : ::testing::Test {
  TempDir directory;
  prometheus::Registry metrics;
  std::filesystem::path file = directory.path() / "store.sqlite";
  std::shared_ptr<std::atomic<std::int64_t>> now = std::make_shared<std::atomic<std::int64_t>>(1'763'930'000);

  Result<std::shared_ptr<Store>> try_open(std::string_view key = "0123456789abcdef0123456789abcdef") {
    auto clock = [n = now] { return std::chrono::system_clock::time_point(std::chrono::seconds(n->load())); };
    return Store::open(file, Secret::copy_of(as_bytes(key)), clock, metrics);
  }
  std::shared_ptr<Store> open() { return try_open().value(); }

  [[nodiscard]] std::string metric(const std::string& name) const {
    const auto text = prometheus::TextSerializer().Serialize(metrics.Collect());
    const auto at = text.find("\n" + name + " ");
    if (at == std::string::npos) return "absent";
    const auto value = at + name.size() + 2;
    return text.substr(value, text.find('\n', value) - value);
  }
  [[nodiscard]] std::string forged(const std::string& table) const {
    return metric("avseal_store_rows_forged_total{table=\"" + table + "\"}");
  }
};

inline AvatarRecord avatar(std::int64_t version, std::string file) {
  return AvatarRecord{.id = "urn:uuid:1",
                      .owner = impu("sip:alice@a.example"),
                      .version = version,
                      .content_digest = "sha-256-" + file,
                      .content_size = 1000,
                      .content_type = "model/gltf-binary",
                      .content_file = std::move(file),
                      .wrapped_key = {1, 2, 3},
                      .members = {{"name", "Alice"}},
                      .withdrawn = false};
}

inline StagedContent content(std::string file, UnixSeconds staged_at = 100) {
  return StagedContent{"urn:uuid:1",    "sha-256-" + file, 1000,     "model/gltf-binary",
                       std::move(file), {1, 2, 3},         staged_at};
}

}  // namespace avseal::store::test
