#include <algorithm>
#include <array>
#include <cstdlib>
#include <fstream>
#include <pwd.h>
#include <unistd.h>

#include "cli/act.hpp"

namespace avseal::cli {
namespace {

constexpr std::size_t max_name = 64;
constexpr std::uint32_t no_login = 0xffffffff;  // loginuid of a process that nobody's login began

std::string printable(std::string_view text) {
  std::string out(text.substr(0, max_name));
  std::replace_if(
      out.begin(), out.end(), [](char c) { return c < ' ' || c > '~'; }, '?');
  return out;
}

std::string user_of(uid_t uid) {
  std::array<char, 4096> buffer{};
  passwd entry{};
  passwd* found = nullptr;
  if (getpwuid_r(uid, &entry, buffer.data(), buffer.size(), &found) != 0 || found == nullptr)
    return std::to_string(uid);
  return printable(entry.pw_name);
}

}  // namespace

boost::json::object terminal() {
  boost::json::object out{{"user", user_of(getuid())}, {"uid", std::int64_t{getuid()}}};
  std::uint32_t login = no_login;
  if (std::ifstream("/proc/self/loginuid") >> login && login != no_login) out["login"] = user_of(login);
  // sudo's own word; whoever is not root could have made it up.
  const char* sudo = std::getenv("SUDO_USER");
  if (sudo != nullptr && getuid() == 0) out["sudo_user"] = printable(sudo);
  std::array<char, 256> host{};
  if (gethostname(host.data(), host.size() - 1) == 0) out["host"] = printable(host.data());
  std::array<char, 256> tty{};
  if (ttyname_r(STDIN_FILENO, tty.data(), tty.size()) == 0) out["tty"] = printable(tty.data());
  return out;
}

}  // namespace avseal::cli
