#include "cli/hsm_options.hpp"

#include <array>
#include <cstdio>
#include <cstring>
#include <memory>
#include <termios.h>
#include <unistd.h>

#include <openssl/crypto.h>

#include "pkcs11/errors.hpp"
#include "pkcs11/pin.hpp"
#include "tokend/pin_fuse.hpp"

namespace avseal::cli {

namespace {

struct CloseFile {
  void operator()(std::FILE* file) const noexcept { std::fclose(file); }
};

// A terminal that does not echo while this lives.
class Silence {
 public:
  explicit Silence(int fd) : fd_(fd), changed_(::tcgetattr(fd, &before_) == 0) {
    termios silent = before_;
    silent.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    if (changed_) ::tcsetattr(fd_, TCSAFLUSH, &silent);
  }
  Silence(const Silence&) = delete;
  Silence& operator=(const Silence&) = delete;
  ~Silence() {
    if (changed_) ::tcsetattr(fd_, TCSAFLUSH, &before_);
  }

 private:
  int fd_;
  termios before_{};
  bool changed_;
};

}  // namespace

void HsmOptions::add_to(CLI::App& command) {
  command.add_option("--module", module, "PKCS#11 module, e.g. /usr/lib/softhsm/libsofthsm2.so")->required();
  command.add_option("--token", token, "URI of the token, e.g. pkcs11:token=avseal")->required();
  command.add_option("--state-directory", state_directory,
                     "state_directory of the token's workers: a wrong PIN is then tried once by all of you together");
  add_pin_to(command);
}

void HsmOptions::add_pin_to(CLI::App& command) {
  auto* file = command.add_option("--pin-file", pin_file, "file with the PIN; without it the terminal is asked");
  command.add_option("--pin-credential", pin_credential, "systemd credential with the PIN")->excludes(file);
}

Result<Secret> HsmOptions::pin(std::string_view what) const {
  if (!pin_file.empty()) return pkcs11::read_pin_file(pin_file);
  if (!pin_credential.empty()) return pkcs11::read_pin_credential(pin_credential);
  return prompt_secret(what);
}

Result<pkcs11::Token> HsmOptions::find_token() const {
  AVSEAL_TRY(const pkcs11::Uri uri, pkcs11::Uri::parse_token(token));
  AVSEAL_TRY(const auto loaded, pkcs11::Module::load(module));
  return pkcs11::Token::find(loaded, uri);
}

Result<pkcs11::Session> HsmOptions::login(pkcs11::Session::Access access, pkcs11::Session::Guard guard) const {
  AVSEAL_TRY(const pkcs11::Token found, find_token());
  AVSEAL_TRY(const Secret user_pin, pin("user PIN of token " + found.label()));
  AVSEAL_TRY(pkcs11::Session session, pkcs11::Session::open(found, access));
  if (state_directory.empty()) {
    AVSEAL_CHECK(session.login(user_pin, guard));
    return session;
  }
  AVSEAL_TRY(tokend::PinFuse fuse, tokend::PinFuse::lock(state_directory, found));
  AVSEAL_CHECK(guard == pkcs11::Session::Guard::spend_one ? fuse.spend(session, user_pin)
                                                          : fuse.login(session, user_pin));
  return session;
}

Result<Secret> prompt_secret(std::string_view what) {
  const std::unique_ptr<std::FILE, CloseFile> terminal(std::fopen("/dev/tty", "r+"));
  if (!terminal) return pkcs11::errors::pin_unreadable("the terminal", "there is none; give --pin-file");
  std::array<char, 258> line{};
  {
    const Silence silence(::fileno(terminal.get()));
    std::fprintf(terminal.get(), "%.*s: ", static_cast<int>(what.size()), what.data());
    std::fflush(terminal.get());
    if (std::fgets(line.data(), line.size(), terminal.get()) == nullptr) line[0] = '\0';
    std::fprintf(terminal.get(), "\n");
  }
  std::size_t size = std::strlen(line.data());
  const bool whole = size > 0 && line[size - 1] == '\n';
  if (whole) --size;
  Secret secret;
  if (whole && size > 0) secret = Secret::copy_of(as_bytes({line.data(), size}));
  OPENSSL_cleanse(line.data(), line.size());
  if (secret.empty()) return pkcs11::errors::pin_unreadable("the terminal", "expected a PIN of 1 to 256 bytes");
  return secret;
}

Result<std::string> prompt_line(std::string_view what) {
  const std::unique_ptr<std::FILE, CloseFile> terminal(std::fopen("/dev/tty", "r+"));
  if (!terminal) return errors::make(Category::invalid, "terminal-missing", "this is done at a terminal only");
  std::fprintf(terminal.get(), "%.*s: ", static_cast<int>(what.size()), what.data());
  std::fflush(terminal.get());
  std::array<char, 258> line{};
  if (std::fgets(line.data(), line.size(), terminal.get()) == nullptr) line[0] = '\0';
  std::string text(line.data());
  if (text.ends_with('\n')) text.pop_back();
  return text;
}

int report(const Error& error) {
  std::fprintf(stderr, "avseal: %s\n", error.detail.c_str());
  return 1;
}

}  // namespace avseal::cli
