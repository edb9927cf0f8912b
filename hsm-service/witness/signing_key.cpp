#include "witness/signing_key.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>
#include <openssl/pem.h>

#include "witness/errors.hpp"

namespace avseal::witness {

namespace {

namespace ssl = tokens::ssl;

constexpr std::size_t public_key_size = 32;
constexpr std::size_t time_size = 8;
constexpr std::size_t signature_size = 64;

Error unusable(const std::filesystem::path& file, std::string_view found) {
  return errors::refused(
      Category::invalid, "witness-key",
      fmt::format("{}: expected an Ed25519 private key (PEM) of mode 0600, found {}", file.string(), found));
}

struct CloseFile {
  void operator()(std::FILE* file) const noexcept { std::fclose(file); }
};
using File = std::unique_ptr<std::FILE, CloseFile>;

File open(const std::filesystem::path& path, int flags, const char* mode) {
  const int fd = ::open(path.c_str(), flags | O_CLOEXEC | O_NOFOLLOW, 0600);
  return File(fd < 0 ? nullptr : ::fdopen(fd, mode));
}

}  // namespace

Result<SigningKey> SigningKey::of(ssl::Pkey private_key, std::string name) {
  std::array<std::uint8_t, public_key_size> raw{};
  std::size_t size = raw.size();
  if (EVP_PKEY_get_raw_public_key(private_key.get(), raw.data(), &size) != 1) {
    return errors::refused(Category::invalid, "witness-key", "the key has no public part");
  }
  AVSEAL_TRY(auto key, tlog::VerifierKey::of_ed25519(std::move(name), tlog::KeyType::cosignature, raw));
  return SigningKey(std::move(private_key), std::move(key));
}

Result<SigningKey> SigningKey::make(const std::filesystem::path& file, std::string name) {
  const ssl::ErrorMark mark;
  AVSEAL_TRY(auto made, of(ssl::Pkey(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519")), std::move(name)));
  const File out = open(file, O_WRONLY | O_CREAT | O_EXCL, "w");
  if (!out && errno == EEXIST) {
    return errors::refused(
        Category::conflict, "witness-key-exists",
        fmt::format("{} exists: a witness keeps its key; remove it only for a new witness", file.string()));
  }
  if (!out) return errors::state(fmt::format("cannot make {}: {}", file.string(), std::strerror(errno)));
  if (PEM_write_PKCS8PrivateKey(out.get(), made.private_key_.get(), nullptr, nullptr, 0, nullptr, nullptr) != 1 ||
      std::fflush(out.get()) != 0 || ::fsync(::fileno(out.get())) != 0) {
    return errors::state(fmt::format("cannot write {}: {}", file.string(), std::strerror(errno)));
  }
  return made;
}

Result<SigningKey> SigningKey::load(const std::filesystem::path& file, std::string name) {
  const ssl::ErrorMark mark;
  const File in = open(file, O_RDONLY, "r");
  if (!in) return unusable(file, std::strerror(errno));
  struct stat info {};
  if (::fstat(::fileno(in.get()), &info) != 0) return unusable(file, std::strerror(errno));
  if ((info.st_mode & 0077U) != 0) return unusable(file, fmt::format("mode {:04o}", info.st_mode & 07777U));
  const auto no_password = [](char*, int, int, void*) { return 0; };
  ssl::Pkey key(PEM_read_PrivateKey(in.get(), nullptr, no_password, nullptr));
  if (!key || EVP_PKEY_is_a(key.get(), "ED25519") != 1) return unusable(file, "something else");
  return of(std::move(key), std::move(name));
}

Result<tlog::NoteSignature> SigningKey::cosign(std::string_view text, UnixSeconds time) const {
  const ssl::ErrorMark mark;
  const std::string message = tlog::cosignature_message(text, time);
  const auto input = as_bytes(message);
  Bytes bytes(time_size + signature_size);
  for (std::size_t i = 0; i < time_size; ++i) {
    bytes[i] = static_cast<std::uint8_t>(static_cast<std::uint64_t>(time) >> (8 * (time_size - 1 - i)) & 0xFFU);
  }
  std::size_t size = signature_size;
  const std::unique_ptr<EVP_MD_CTX, ssl::Free<EVP_MD_CTX_free>> context(EVP_MD_CTX_new());
  if (!context || EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, private_key_.get()) != 1 ||
      EVP_DigestSign(context.get(), bytes.data() + time_size, &size, input.data(), input.size()) != 1) {
    return errors::refused(Category::internal, "witness-key", "OpenSSL cannot sign with the witness's key");
  }
  return tlog::NoteSignature{key_.name(), key_.key_id(), std::move(bytes)};
}

}  // namespace avseal::witness
