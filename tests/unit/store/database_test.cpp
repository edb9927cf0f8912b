#include "store/database.hpp"

#include <csignal>
#include <fstream>
#include <sys/stat.h>
#include <sys/wait.h>

#include "store/schema.hpp"
#include "support.hpp"

namespace avseal::store::test {
namespace {

namespace asio = boost::asio;
using ::testing::HasSubstr;

class DatabaseTest : public Fixture {
 protected:
  std::unique_ptr<Database> open_database() {
    return Database::open(
               file, [](Connection&) -> Result<void> { return {}; }, metrics)
        .value();
  }
  static Result<void> insert(Connection& c, std::string_view subject) {
    AVSEAL_CHECK(c.run("INSERT INTO subject_key VALUES (?, x'00', x'')", subject));
    return {};
  }
};

TEST_F(DatabaseTest, WritesAreOnDiskBeforeTheyReturn) {
  open()->close();
  auto connection = Connection::open(file).value();
  EXPECT_EQ(*connection.number("PRAGMA synchronous"), 2);
  EXPECT_EQ(*connection.number("PRAGMA foreign_keys"), 1);
  EXPECT_EQ(*connection.number("PRAGMA secure_delete"), 1);
  EXPECT_EQ(Intruder(file).text("PRAGMA journal_mode"), "wal");
}

TEST_F(DatabaseTest, FilesAreForTheServiceOnly) {
  auto store = open();
  for (const auto& entry : std::filesystem::directory_iterator(directory.path())) {
    struct stat info {};
    ASSERT_EQ(::stat(entry.path().c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777, 0600U) << entry.path();
  }
}

TEST_F(DatabaseTest, NewFileGetsTheSchema) {
  open()->close();
  EXPECT_EQ(Intruder(file).text("PRAGMA user_version"), std::to_string(schema_version));
  EXPECT_TRUE(try_open()) << "and is taken as it is the next time";
}

TEST_F(DatabaseTest, AnOlderSchemaIsBroughtUpToDate) {
  auto store = open();
  ASSERT_TRUE(run(store->subscriptions().put({impu("sip:alice@a.example"), {}, 0})));
  store->close();
  Intruder(file).run(to_schema_one);
  store = open();
  EXPECT_EQ(Intruder(file).text("PRAGMA user_version"), std::to_string(schema_version));
  EXPECT_TRUE(*run(store->subscriptions().find(impu("sip:alice@a.example"))));
  EXPECT_TRUE(run(store->idempotency_keys().begin({"key", "client", "digest", 1, 2, 3})));
}

TEST_F(DatabaseTest, NewerSchemaIsRefused) {
  open()->close();
  Intruder(file).run("PRAGMA user_version = 99");
  const auto refused = try_open();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason, "store-unavailable");
  EXPECT_THAT(refused.error().detail, HasSubstr("newer program"));
  EXPECT_EQ(Intruder(file).text("PRAGMA user_version"), "99");
}

TEST_F(DatabaseTest, ForeignFileIsRefused) {
  Intruder(file).run("CREATE TABLE x (y)");
  EXPECT_THAT(try_open().error().detail, HasSubstr("not a store of avseal"));
  std::filesystem::remove(file);
  std::ofstream(file) << std::string(5000, 'x');
  EXPECT_EQ(try_open().error().reason, "store-unavailable");
}

TEST_F(DatabaseTest, FileThatCannotBeOpenedIsNamed) {
  file = directory.path() / "no" / "store.sqlite";
  EXPECT_THAT(try_open().error().detail, HasSubstr(file.string()));
}

TEST_F(DatabaseTest, LinkIsNotFollowed) {
  std::filesystem::create_symlink(directory.path() / "elsewhere", file);
  EXPECT_FALSE(try_open());
}

TEST_F(DatabaseTest, TwoProcessesMayMigrateAtOnce) {
  std::vector<std::thread> starting;
  std::atomic<int> started{0};
  for (int i = 0; i < 4; ++i) {
    starting.emplace_back([&] {
      prometheus::Registry registry;
      if (Store::open(file, Secret::random(32), system_clock_now, registry)) ++started;
    });
  }
  for (auto& thread : starting) thread.join();
  EXPECT_EQ(started, 4);
}

TEST_F(DatabaseTest, FailingWriteDoesNotHurtItsGroup) {
  auto database = open_database();
  asio::io_context context;
  std::atomic<int> done{0};
  std::atomic<int> failed{0};
  for (int i = 0; i < 60; ++i) {
    asio::co_spawn(
        context,
        [](Database& to, int n, std::atomic<int>& ok, std::atomic<int>& bad) -> asio::awaitable<void> {
          auto job = [n](Connection& c) -> Result<void> {
            AVSEAL_CHECK(insert(c, fmt::format("subject-{}", n)));
            if (n % 3 == 0) return avseal::errors::make(Category::conflict, "no", "the job changed its mind");
            return {};
          };
          const auto result = co_await to.write(std::move(job));
          ++(result ? ok : bad);
        }(*database, i, done, failed),
        asio::detached);
  }
  context.run();
  EXPECT_EQ(done, 40);
  EXPECT_EQ(failed, 20);
  EXPECT_EQ(Intruder(file).text("SELECT count(*) FROM subject_key"), "40");
  EXPECT_EQ(Intruder(file).text("SELECT count(*) FROM subject_key WHERE subject = 'subject-3'"), "0");
}

TEST_F(DatabaseTest, ReadersCannotWrite) {
  auto database = open_database();
  const auto refused = run(database->read([](Connection& c) { return insert(c, "x"); }));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason, "store-unavailable");
}

TEST_F(DatabaseTest, LockedFileIsUnavailableAndRecovers) {
  auto store = open();
  Intruder other(file);
  other.run("BEGIN IMMEDIATE");
  const auto refused = run(store->replay_cache().reserve({"k", "c", "d", 1}));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason, "store-unavailable");
  EXPECT_EQ(refused.error().category, Category::unavailable);
  EXPECT_FALSE(store->healthy());
  EXPECT_TRUE(run(store->replay_cache().reserve({"k", "c", "d", 1})).has_error()) << "still locked";
  other.run("ROLLBACK");
  EXPECT_EQ(run(store->replay_cache().reserve({"k", "c", "d", 1}))->kind, ReplayState::Kind::reserved);
  EXPECT_TRUE(store->healthy());
}

TEST_F(DatabaseTest, ClosedStoreRefuses) {
  auto store = open();
  store->close();
  store->close();
  EXPECT_EQ(run(store->subscriptions().find(impu("sip:a@a.example"))).error().reason, "store-unavailable");
  EXPECT_EQ(run(store->subscriptions().put({impu("sip:a@a.example"), {}, 0})).error().reason, "store-unavailable");
}

TEST_F(DatabaseTest, CallsResumeOnTheirOwnThread) {
  auto store = open();
  run([](Store& from) -> asio::awaitable<bool> {
    const auto here = std::this_thread::get_id();
    std::string origid = "x";
    (void)co_await from.calls().find(std::move(origid));
    EXPECT_EQ(std::this_thread::get_id(), here);
    ReplayEntry entry{"k", "c", "d", 1};
    (void)co_await from.replay_cache().reserve(std::move(entry));
    EXPECT_EQ(std::this_thread::get_id(), here);
    co_return true;
  }(*store));
}

// Two stores on one file, as two processes would have it, with many callers each: one wins.
template <class Operation>
int winners(const std::vector<std::shared_ptr<Store>>& stores, Operation operation) {
  std::atomic<int> won{0};
  std::vector<std::thread> running;
  for (const auto& store : stores) {
    running.emplace_back([&] {
      asio::io_context context;
      for (int i = 0; i < 8; ++i) {
        asio::co_spawn(
            context,
            [](Store& on, Operation attempt, std::atomic<int>& count) -> asio::awaitable<void> {
              const bool mine = co_await attempt(on);
              if (mine) ++count;
            }(*store, operation, won),
            asio::detached);
      }
      context.run();
    });
  }
  for (auto& thread : running) thread.join();
  return won;
}

asio::awaitable<bool> reserve(Store& store) {
  ReplayEntry entry{"ue-1/jti-1", tokens::random_uuid(), "digest", 2'000'000'000};
  const auto state = co_await store.replay_cache().reserve(std::move(entry));
  co_return state && state->kind == ReplayState::Kind::reserved;
}
asio::awaitable<bool> begin(Store& store) {
  IdempotencyRequest request{"key-1", "ims-as-1", "digest", 1'763'930'000, 1'763'930'002, 1'763'930'060};
  const auto state = co_await store.idempotency_keys().begin(std::move(request));
  co_return state && state->kind == IdempotencyState::Kind::begun;
}
asio::awaitable<bool> publish(Store& store) {
  auto record = avatar(1, "file-1");
  const auto published = co_await store.avatars().publish(std::move(record), 0);
  co_return published.has_value();
}
asio::awaitable<bool> spend(Store& store) {
  std::string hash = "hash-1";
  const auto code = co_await store.enrolment_codes().spend(std::move(hash), 1);
  co_return code.has_value();
}

TEST_F(DatabaseTest, OneOfManyRacersWins) {
  const std::vector<std::shared_ptr<Store>> stores = {open(), open()};
  ASSERT_TRUE(run(stores[0]->avatars().stage(content("file-1"))));
  ASSERT_TRUE(run(stores[0]->enrolment_codes().add({"hash-1", impu("sip:alice@a.example"), 1000})));
  EXPECT_EQ(winners(stores, reserve), 1);
  EXPECT_EQ(winners(stores, begin), 1);
  EXPECT_EQ(winners(stores, publish), 1);
  EXPECT_EQ(winners(stores, spend), 1);
}

// A child reserves tokens in a loop and tells each; whatever it told must be reserved after kill -9.
[[noreturn]] void reserve_for_ever(const std::filesystem::path& file, int out) {
  prometheus::Registry registry;
  auto store = Store::open(file, Secret::random(32), system_clock_now, registry);
  if (!store) ::_exit(1);
  asio::io_context context;
  asio::co_spawn(
      context,
      [](Store& in, int fd) -> asio::awaitable<void> {
        for (std::uint32_t i = 0;; ++i) {
          ReplayEntry entry{std::to_string(i), "client", "digest", 2'000'000'000};
          const auto state = co_await in.replay_cache().reserve(std::move(entry));
          if (!state || ::write(fd, &i, sizeof i) != sizeof i) ::_exit(1);
        }
      }(**store, out),
      asio::detached);
  context.run();
  ::_exit(1);
}

TEST_F(DatabaseTest, WhatWasToldSurvivesKill) {
  int pipe[2];
  ASSERT_EQ(::pipe(pipe), 0);
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) reserve_for_ever(file, pipe[1]);
  ::close(pipe[1]);
  std::uint32_t told = 0;
  std::uint32_t count = 0;
  while (::read(pipe[0], &told, sizeof told) == sizeof told) {
    if (++count == 50) ::kill(child, SIGKILL);
  }
  ::close(pipe[0]);
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status));
  auto store = open();
  for (std::uint32_t i = 0; i < count; ++i) {
    const auto state = run(store->replay_cache().reserve({std::to_string(i), "client", "digest", 2'000'000'000}));
    EXPECT_EQ(state->kind, ReplayState::Kind::same_request) << i;
  }
}

TEST_F(DatabaseTest, OneSubjectHasOneKeyInAllProcesses) {
  const std::vector<std::shared_ptr<Store>> stores = {open(), open()};
  const auto one = run(stores[0]->subject_keys().key_for("sip:alice@a.example")).value();
  EXPECT_EQ(run(stores[1]->subject_keys().key_for("sip:alice@a.example")).value(), one);
}

}  // namespace
}  // namespace avseal::store::test
