#include "keyring/workers.hpp"

#include <algorithm>
#include <fstream>
#include <future>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>
#include <fmt/format.h>

#include "keyring/errors.hpp"
#include "keyring/worker_process.hpp"

namespace avseal::keyring {
namespace {

namespace asio = boost::asio;
using std::chrono::steady_clock;

std::string read_all(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace

struct Workers::Group {
  SpawnedToken token;
  std::string configuration;  // the file's text when the group was made
  std::vector<std::shared_ptr<WorkerProcess>> workers;
  bool adopted = false;
};

asio::awaitable<Result<std::vector<AbsentToken>>> Workers::start_groups(Groups groups) {
  std::vector<AbsentToken> absent;
  for (const auto& group : groups) {
    AVSEAL_CO_CHECK(group->workers.front()->begin());
  }
  for (const auto& group : groups) {
    const auto& first = group->workers.front();
    auto ready = co_await WorkerProcess::wait_until_ready(first);
    if (!ready && !group->adopted) co_return ready.error();
    if (!ready || !*ready) absent.push_back({group->token.name, first->why_absent()});
    for (const auto& worker : group->workers) {
      AVSEAL_CO_CHECK(worker->begin());
    }
  }
  for (const auto& group : groups) {
    const auto& last = group->workers.back();  // they all have started since
    const auto is_it = [&](const AbsentToken& token) { return token.name == group->token.name; };
    if (last == group->workers.front() || std::any_of(absent.begin(), absent.end(), is_it)) continue;
    for (const auto& worker : group->workers) {
      auto ready = co_await WorkerProcess::wait_until_ready(worker);
      if (!ready && !group->adopted) co_return ready.error();
    }
  }
  co_return absent;
}

Workers::Workers(WorkersConfig config, asio::io_context& context) : config_(std::move(config)), context_(context) {
  if (config_.program.empty()) {
    std::error_code ignored;
    config_.program = std::filesystem::read_symlink("/proc/self/exe", ignored).replace_filename("avseal-tokend");
  }
}

Result<std::unique_ptr<Workers>> Workers::start(WorkersConfig config, asio::io_context& context) {
  auto workers = std::unique_ptr<Workers>(new Workers(std::move(config), context));
  for (const auto& token : workers->config_.tokens) workers->running_.push_back(workers->make_group(token, 0));
  AVSEAL_CHECK(workers->start_all(workers->running_));
  for (const auto& group : workers->running_) group->adopted = true;
  return workers;
}

Workers::GroupPtr Workers::make_group(const SpawnedToken& token, unsigned reload) const {
  auto group = std::make_shared<Group>();
  group->token = token;
  group->configuration = read_all(token.config_file);
  for (unsigned i = 1; i <= token.count; ++i) {
    auto name = reload == 0 ? fmt::format("{}-{}", token.name, i) : fmt::format("{}-{}.{}", token.name, i, reload);
    group->workers.push_back(std::make_shared<WorkerProcess>(config_, token, std::move(name), context_));
  }
  return group;
}

Result<void> Workers::start_all(const Groups& groups) {
  auto absent = asio::co_spawn(context_, start_groups(groups), asio::use_future).get();
  if (!absent) return absent.error();
  absent_ = std::move(*absent);
  return {};
}

Result<void> Workers::prepare(std::vector<SpawnedToken> tokens) {
  ++reloads_;
  next_.clear();
  for (const auto& token : tokens) {
    const auto same = std::find_if(running_.begin(), running_.end(), [&](const GroupPtr& group) {
      return group->token.name == token.name && group->token.config_file == token.config_file &&
             group->token.count == token.count && group->configuration == read_all(token.config_file);
    });
    next_.push_back(same == running_.end() ? make_group(token, reloads_) : *same);
  }
  prepared_ = true;
  const auto started = start_all(next_);
  if (!started) abandon();
  return started;
}

void Workers::adopt() {
  const auto earlier = std::exchange(running_, std::exchange(next_, {}));
  prepared_ = false;
  for (const auto& group : running_) group->adopted = true;
  Groups replaced;
  for (const auto& group : earlier) {
    if (std::find(running_.begin(), running_.end(), group) == running_.end()) replaced.push_back(group);
  }
  stop(replaced);
}

void Workers::abandon() {
  prepared_ = false;
  auto unused = std::exchange(next_, {});
  std::erase_if(unused, [](const GroupPtr& group) { return group->adopted; });
  stop(unused);
}

Workers::~Workers() {
  abandon();
  stop(running_);
}

void Workers::stop(const Groups& groups) {
  const auto stop_now = [&] {
    const auto until = steady_clock::now() + config_.stop_limit;
    for (const auto& group : groups) {
      for (const auto& worker : group->workers) worker->ask_to_stop();
    }
    for (const auto& group : groups) {
      for (const auto& worker : group->workers) worker->reap(until);
    }
  };
  if (groups.empty()) return;
  if (context_.stopped()) {
    stop_now();
  } else {
    asio::post(context_, std::packaged_task<void()>(stop_now)).get();
  }
}

std::vector<std::filesystem::path> Workers::sockets(std::string_view token) const {
  std::vector<std::filesystem::path> paths;
  for (const auto& group : prepared_ ? next_ : running_) {
    if (group->token.name != token) continue;
    for (const auto& worker : group->workers) paths.push_back(worker->socket());
  }
  return paths;
}

void Workers::add_sockets(std::vector<TokenConfig>& tokens) const {
  for (auto& token : tokens) {
    auto spawned = sockets(token.name);
    if (!spawned.empty()) token.sockets = std::move(spawned);
  }
}

std::vector<pid_t> Workers::pids() const {
  std::vector<pid_t> running;
  for (const auto& group : running_) {
    for (const auto& worker : group->workers) {
      if (const pid_t pid = worker->pid(); pid > 0) running.push_back(pid);
    }
  }
  return running;
}

Result<void> check_replicas(const std::vector<KeyConfig>& keys, const std::vector<AbsentToken>& absent) {
  const auto find = [&](const std::string& token) {
    return std::find_if(absent.begin(), absent.end(), [&](const AbsentToken& one) { return one.name == token; });
  };
  for (const auto& key : keys) {
    const auto is_absent = [&](const std::string& token) { return find(token) != absent.end(); };
    if (!key.primary || !std::all_of(key.tokens.begin(), key.tokens.end(), is_absent)) continue;
    const auto token = find(key.tokens.front());
    return errors::workers_start(
        fmt::format("key '{}' is on no token that is there; token {}: {}", key.name, token->name, token->why));
  }
  return {};
}

}  // namespace avseal::keyring
