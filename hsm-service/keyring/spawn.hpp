// Starting a worker process.
#pragma once

#include <filesystem>
#include <string>
#include <sys/types.h>
#include <vector>

#include "tokens/result.hpp"

namespace avseal::keyring {

struct Spawned {
  pid_t pid;
  int pidfd;
  int output;  // read end of its stdout and stderr
};

// Nothing of this process goes to the child but the environment: no descriptor, no blocked or ignored signal.
// "workers-start".
Result<Spawned> spawn(const std::filesystem::path& program, const std::vector<std::string>& arguments);

std::string describe_exit(int status);  // of waitpid()

}  // namespace avseal::keyring
