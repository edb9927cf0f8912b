#include "pkcs11/pin.hpp"

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/crypto.h>

#include "pkcs11/errors.hpp"

namespace avseal::pkcs11 {

namespace {

constexpr std::size_t max_pin = 256;

class File {
 public:
  explicit File(const std::filesystem::path& path) : fd_(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY)) {}
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File() {
    if (fd_ >= 0) ::close(fd_);
  }
  [[nodiscard]] int fd() const { return fd_; }

 private:
  int fd_;
};

}  // namespace

Result<Secret> read_pin_file(const std::filesystem::path& file) {
  const File open_file(file);
  if (open_file.fd() < 0) return errors::pin_unreadable(file.string(), std::strerror(errno));
  struct stat status {};
  if (::fstat(open_file.fd(), &status) != 0) return errors::pin_unreadable(file.string(), std::strerror(errno));
  if (!S_ISREG(status.st_mode)) return errors::pin_unreadable(file.string(), "it is not a regular file");
  if ((status.st_mode & S_IRWXO) != 0) {
    return errors::pin_unreadable(file.string(), "everybody may read it; set its mode to 0600");
  }
  std::array<char, max_pin + 2> buffer{};
  std::size_t size = 0;
  while (size < buffer.size()) {
    const ssize_t got = ::read(open_file.fd(), buffer.data() + size, buffer.size() - size);
    if (got <= 0) break;
    size += static_cast<std::size_t>(got);
  }
  std::string_view text(buffer.data(), size);
  if (text.ends_with('\n')) text.remove_suffix(1);
  Secret pin;
  if (!text.empty() && text.size() <= max_pin) pin = Secret::copy_of(as_bytes(text));
  OPENSSL_cleanse(buffer.data(), buffer.size());
  if (pin.empty()) return errors::pin_unreadable(file.string(), "expected a PIN of 1 to 256 bytes");
  return pin;
}

Result<Secret> read_pin_credential(std::string_view name) {
  if (name.empty() || name.find('/') != std::string_view::npos || name.starts_with('.')) {
    return errors::pin_unreadable("credential " + std::string(name), "it is not a credential's name");
  }
  const char* directory = std::getenv("CREDENTIALS_DIRECTORY");
  if (directory == nullptr) {
    return errors::pin_unreadable("credential " + std::string(name),
                                  "CREDENTIALS_DIRECTORY is not set; the unit needs LoadCredential");
  }
  return read_pin_file(std::filesystem::path(directory) / name);
}

}  // namespace avseal::pkcs11
