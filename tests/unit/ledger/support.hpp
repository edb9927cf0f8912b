#pragma once

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <map>
#include <mutex>
#include <optional>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../support/run.hpp"
#include "../support/temp_dir.hpp"
#include "ledger/leaf.hpp"
#include "ledger/ledger.hpp"
#include "tokens/digest.hpp"
#include "tokens/json.hpp"

namespace avseal::ledger::test {

using avseal::test::run;
using avseal::test::TempDir;

class MemorySubjectKeys final : public SubjectKeys {
 public:
  boost::asio::awaitable<Result<Bytes>> key_for(std::string subject) override {
    const std::lock_guard lock(mutex_);
    auto& key = keys_[subject];
    if (key.empty()) key = tokens::random_bytes(32);
    co_return key;
  }
  boost::asio::awaitable<Result<std::optional<Bytes>>> find(std::string subject) override {
    const std::lock_guard lock(mutex_);
    const auto known = keys_.find(subject);
    co_return known == keys_.end() ? std::optional<Bytes>() : std::optional(known->second);
  }
  boost::asio::awaitable<Result<bool>> erase(std::string subject) override {
    const std::lock_guard lock(mutex_);
    co_return keys_.erase(subject) != 0;
  }

 private:
  std::mutex mutex_;
  std::map<std::string, Bytes> keys_;
};

// The system's calls, until told to fail.
class FailingFiles final : public FileOps {
 public:
  std::atomic<int> write_errno{0};
  std::atomic<int> sync_errno{0};
  std::atomic<int> preallocate_errno{0};
  std::atomic<off_t> room_to_preallocate{1LL << 40};
  std::atomic<int> segment_errno{0};  // of a segment that begins
  std::atomic<int> chmod_errno{0};
  std::atomic<bool> write_half{false};  // of the next write; the one after fails with write_errno
  std::atomic<std::uint64_t> free{1ULL << 40};
  std::atomic<bool> hold_sync{false};
  std::atomic<int> syncs{0};

  int create(const std::filesystem::path& file, mode_t mode) override {
    if (const int failed = segment_errno.load(); failed != 0 && file.filename() == "new-segment") return fail(failed);
    return FileOps::create(file, mode);
  }
  int chmod(const std::filesystem::path& path, mode_t mode) override {
    if (const int failed = chmod_errno.load(); failed != 0) return fail(failed);
    return FileOps::chmod(path, mode);
  }
  ssize_t pwrite(int fd, const void* data, std::size_t size, off_t offset) override {
    if (write_half.exchange(false)) return FileOps::pwrite(fd, data, size / 2, offset);
    if (const int failed = write_errno.load(); failed != 0) return fail(failed);
    return FileOps::pwrite(fd, data, size, offset);
  }
  int fdatasync(int fd) override {
    ++syncs;
    hold_sync.wait(true);
    if (const int failed = sync_errno.load(); failed != 0) return fail(failed);
    return FileOps::fdatasync(fd);
  }
  int preallocate(int fd, off_t offset, off_t size) override {
    if (const int failed = preallocate_errno.load(); failed != 0) return fail(failed);
    if (size > room_to_preallocate) return fail(ENOSPC);
    return FileOps::preallocate(fd, offset, size);
  }
  std::optional<std::uint64_t> free_bytes(const std::filesystem::path&) override { return free.load(); }

  void release_sync() {
    hold_sync = false;
    hold_sync.notify_all();
  }

 private:
  static int fail(int value) {
    errno = value;
    return -1;
  }
};

// A clock that a test sets.
class TestClock {
 public:
  [[nodiscard]] Clock get() const {
    return [now = now_] { return std::chrono::system_clock::time_point(std::chrono::seconds(now->load())); };
  }
  void advance(std::int64_t seconds) { *now_ += seconds; }

 private:
  std::shared_ptr<std::atomic<std::int64_t>> now_ = std::make_shared<std::atomic<std::int64_t>>(1'763'930'040);
};

// A ledger directory and what opens it.
struct Fixture : ::testing::Test {
  TempDir directory;
  std::shared_ptr<FailingFiles> files = std::make_shared<FailingFiles>();
  TestClock clock;
  prometheus::Registry metrics;
  MemorySubjectKeys keys;

  [[nodiscard]] Config config() const {
    Config config;
    config.directory = directory.path() / "log";
    config.origin = "operator.example/node-1";
    config.files = files;
    return config;
  }
  Result<std::shared_ptr<Ledger>> try_open(const Config& with) {
    auto ledger = Ledger::open(with, clock.get(), metrics);
    if (ledger) (*ledger)->use_subject_keys(keys);
    return ledger;
  }
  std::shared_ptr<Ledger> open(const Config& with) { return try_open(with).value(); }
  std::shared_ptr<Ledger> open() { return open(config()); }

  [[nodiscard]] std::vector<std::string> leaves() const { return read_leaves(config().directory).value(); }
  [[nodiscard]] boost::json::object leaf(std::size_t index) const {
    return boost::json::parse(leaves().at(index)).as_object();
  }
  [[nodiscard]] std::vector<std::filesystem::path> segments() const {
    std::vector<std::filesystem::path> found;
    for (const auto& entry : std::filesystem::directory_iterator(config().directory)) found.push_back(entry.path());
    std::sort(found.begin(), found.end());
    return found;
  }
};

inline Event event(std::string type = "sign.avatar-id") {
  Event event;
  event.type = std::move(type);
  event.client = "ims-as-1";
  event.actor_x5t = "Bo4jmZk9xW0";
  event.request_id = "req-1";
  return event;
}

inline Result<std::uint64_t> append(Ledger& ledger, Event what, Outcome outcome = Outcome::released,
                                    std::string reason = {}) {
  return run([](Ledger& to, Event e, Outcome o, std::string r) -> boost::asio::awaitable<Result<std::uint64_t>> {
    auto slot = co_await to.open_slot(std::move(e));
    if (!slot) co_return slot.error();
    auto leaf = co_await slot->commit(o, r);
    if (!leaf) co_return leaf.error();
    co_return leaf->index;
  }(ledger, std::move(what), outcome, std::move(reason)));
}

inline std::string read_file(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}
inline void write_file(const std::filesystem::path& file, std::string_view bytes) {
  std::ofstream(file, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

template <class Predicate>
bool eventually(Predicate predicate) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (std::chrono::steady_clock::now() < deadline) {
    if (predicate()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return false;
}

}  // namespace avseal::ledger::test
