#include "store/database.hpp"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>

#include <spdlog/spdlog.h>

#include "store/errors.hpp"
#include "store/schema.hpp"

namespace avseal::store {

namespace {

constexpr std::size_t max_queue = 8192;
constexpr std::size_t max_group = 256;  // writes of one transaction
constexpr std::size_t reader_count = 2;
constexpr std::chrono::milliseconds maintenance_interval{60'000};

// SQLite would make the file with the process's umask; it holds personal data.
Result<void> make_private_file(const std::filesystem::path& file) {
  const int fd = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return errors::unavailable(fmt::format("cannot open {}: {}", file.string(), std::strerror(errno)));
  ::close(fd);
  return {};
}

}  // namespace

bool Database::Queue::push(std::unique_ptr<Task>& task) {
  {
    const std::lock_guard lock(mutex_);
    if (closed_ || tasks_.size() >= max_queue) return false;
    tasks_.push_back(std::move(task));
  }
  filled_.notify_one();
  return true;
}

std::vector<std::unique_ptr<Database::Task>> Database::Queue::take(std::size_t limit,
                                                                   std::chrono::milliseconds patience) {
  std::vector<std::unique_ptr<Task>> taken;
  std::unique_lock lock(mutex_);
  filled_.wait_for(lock, patience, [this] { return closed_ || !tasks_.empty(); });
  while (!tasks_.empty() && taken.size() < limit) {
    taken.push_back(std::move(tasks_.front()));
    tasks_.pop_front();
  }
  return taken;
}

void Database::Queue::close() {
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
  }
  filled_.notify_all();
}

bool Database::Queue::drained() const {
  const std::lock_guard lock(mutex_);
  return closed_ && tasks_.empty();
}

Database::Database(Connection writer, Maintenance maintenance, prometheus::Registry& metrics)
    : writer_(std::move(writer)),
      maintenance_(std::move(maintenance)),
      commit_seconds_(prometheus::BuildHistogram()
                          .Name("avseal_store_commit_seconds")
                          .Help("Time to run and sync one transaction.")
                          .Register(metrics)
                          .Add({}, prometheus::Histogram::BucketBoundaries{0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025,
                                                                           0.05, 0.1, 0.25, 1, 5})) {}

Result<std::unique_ptr<Database>> Database::open(const std::filesystem::path& file, Maintenance maintenance,
                                                 prometheus::Registry& metrics) {
  AVSEAL_CHECK(make_private_file(file));
  AVSEAL_TRY(auto writer, Connection::open(file));
  AVSEAL_CHECK(migrate(writer));
  std::unique_ptr<Database> database(new Database(std::move(writer), std::move(maintenance), metrics));
  for (std::size_t i = 0; i < reader_count; ++i) {
    AVSEAL_TRY(auto reader, Connection::open(file));
    AVSEAL_CHECK(reader.execute("PRAGMA query_only=ON"));
    database->readers_.push_back(std::move(reader));
  }
  database->maintain();
  AVSEAL_CHECK(database->healthy());
  auto* self = database.get();
  database->threads_.emplace_back([self] { self->write_loop(); });
  for (auto& reader : database->readers_) {
    database->threads_.emplace_back([self, &reader] { self->read_loop(reader); });
  }
  return database;
}

Database::~Database() {
  close();
}

void Database::close() {
  writes_.close();
  reads_.close();
  for (auto& thread : threads_) thread.join();
  threads_.clear();
}

Result<void> Database::healthy() const {
  const std::lock_guard lock(health_mutex_);
  return health_;
}

void Database::note(const Result<void>& committed) {
  const std::lock_guard lock(health_mutex_);
  if (!committed && health_) spdlog::error("store-unavailable: {}", committed.error().detail);
  health_ = committed;
}

Error Database::refused() {
  return errors::unavailable("the store is overloaded or closed");
}

void Database::write_loop() {
  while (!writes_.drained()) {
    auto tasks = writes_.take(max_group, maintenance_interval);
    if (!tasks.empty()) {
      const auto started = std::chrono::steady_clock::now();
      const auto committed = commit(tasks);
      const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - started;
      commit_seconds_.Observe(elapsed.count());
      note(committed);
      for (auto& task : tasks) task->finish(committed);
    }
    if (std::chrono::steady_clock::now() - maintained_ >= maintenance_interval) maintain();
  }
}

void Database::read_loop(Connection& connection) {
  while (!reads_.drained()) {
    for (auto& task : reads_.take(1, maintenance_interval)) {
      task->run(connection);
      task->finish({});
    }
  }
}

Result<void> Database::commit(std::vector<std::unique_ptr<Task>>& tasks) {
  AVSEAL_CHECK(writer_.execute("BEGIN IMMEDIATE"));
  Result<void> result;
  for (auto& task : tasks) {
    result = run_in_savepoint(*task);
    if (!result) break;
  }
  if (result) result = writer_.execute("COMMIT");
  // SQLite itself rolls back after some errors, a full disk for one.
  if (!result && writer_.in_transaction()) (void)writer_.execute("ROLLBACK");
  return result;
}

Result<void> Database::run_in_savepoint(Task& task) {
  AVSEAL_CHECK(writer_.execute("SAVEPOINT task"));
  const bool done = task.run(writer_);
  if (!writer_.in_transaction()) return errors::unavailable("a failed write ended the transaction; check the disk");
  if (!done) {
    AVSEAL_CHECK(writer_.execute("ROLLBACK TO task"));
  }
  return writer_.execute("RELEASE task");
}

void Database::maintain() {
  maintained_ = std::chrono::steady_clock::now();
  auto result = writer_.execute("BEGIN IMMEDIATE");
  if (result) result = maintenance_(writer_);
  if (result) result = writer_.execute("COMMIT");
  if (!result && writer_.in_transaction()) (void)writer_.execute("ROLLBACK");
  // What was erased is overwritten in the database; this takes it out of the write-ahead log.
  if (result) result = writer_.execute("PRAGMA wal_checkpoint(TRUNCATE)");
  note(result);
}

}  // namespace avseal::store
