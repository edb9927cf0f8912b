#include "service/spawned_workers.hpp"

#include <future>

#include <fmt/format.h>

namespace avseal::service {

struct SpawnedWorkers::Group {
  Group(keyring::SpawnedToken what, std::unique_ptr<keyring::Workers> running)
      : token(std::move(what)), workers(std::move(running)) {}
  keyring::SpawnedToken token;
  std::unique_ptr<keyring::Workers> workers;
};

namespace {

bool same(const keyring::SpawnedToken& a, const keyring::SpawnedToken& b) {
  return a.name == b.name && a.config_file == b.config_file && a.count == b.count;
}

}  // namespace

std::filesystem::path SpawnedWorkers::new_directory() const {
  return generation_ == 0 ? directory_ : directory_ / fmt::format("{}", generation_);
}

Result<SpawnedWorkers> SpawnedWorkers::with(const std::vector<keyring::SpawnedToken>& tokens) const {
  SpawnedWorkers next(directory_, *context_);
  next.generation_ = generation_ + 1;
  std::vector<std::pair<keyring::SpawnedToken, std::future<Result<std::unique_ptr<keyring::Workers>>>>> starting;
  for (const auto& token : tokens) {
    const auto running = groups_.find(token.name);
    if (running != groups_.end() && same(running->second->token, token)) {
      next.groups_.insert(*running);
      continue;
    }
    keyring::WorkersConfig config;
    config.socket_directory = new_directory();
    config.tokens = {token};
    starting.emplace_back(token, std::async(std::launch::async, [config, this]() mutable {
                            std::error_code ignored;  // Workers says what is wrong with the directory
                            std::filesystem::create_directory(config.socket_directory, ignored);
                            return keyring::Workers::start(std::move(config), *context_);
                          }));
  }
  Result<void> all;
  for (auto& [token, start] : starting) {
    auto started = start.get();
    if (started) {
      next.groups_.emplace(token.name, std::make_shared<const Group>(token, std::move(*started)));
    } else if (all) {
      all = started.error();
    }
  }
  if (!all) return all.error();
  return next;
}

void SpawnedWorkers::add_sockets(std::vector<keyring::TokenConfig>& tokens) const {
  for (auto& token : tokens) {
    const auto group = groups_.find(token.name);
    if (group != groups_.end()) token.sockets = group->second->workers->sockets(token.name);
  }
}

}  // namespace avseal::service
