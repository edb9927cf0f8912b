#pragma once

#include <map>
#include <memory>

#include <boost/asio/io_context.hpp>

#include "keyring/config.hpp"
#include "keyring/workers.hpp"

namespace avseal::service {

// The workers that avseald starts itself, by token: a value that shares the running processes with its copies. The
// processes of a token end with the last value that has them.
class SpawnedWorkers {
 public:
  SpawnedWorkers(std::filesystem::path socket_directory, boost::asio::io_context& context)
      : directory_(std::move(socket_directory)), context_(&context) {}

  // The same with exactly these tokens: running ones go on unless their entry differs, others are started, all at once.
  // Blocks until they answer; not on the context's thread, nor may the last value of a token end there.
  [[nodiscard]] Result<SpawnedWorkers> with(const std::vector<keyring::SpawnedToken>& tokens) const;

  // Fills in the sockets of the tokens that are spawned.
  void add_sockets(std::vector<keyring::TokenConfig>& tokens) const;

 private:
  struct Group;
  [[nodiscard]] std::filesystem::path new_directory() const;

  std::filesystem::path directory_;
  boost::asio::io_context* context_;
  std::map<std::string, std::shared_ptr<const Group>> groups_;  // by token
  unsigned generation_ = 0;  // a changed token's new sockets are beside those that it still uses
};

}  // namespace avseal::service
