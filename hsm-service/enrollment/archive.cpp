#include "enrollment/archive.hpp"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <iterator>
#include <unistd.h>

#include <fmt/format.h>
#include <openssl/evp.h>

#include "tokens/base64.hpp"
#include "tokens/digest.hpp"
#include "tokens/json.hpp"

namespace avseal::enrollment {
namespace {

constexpr std::string_view magic = "avseal-evidence-v1";
constexpr std::string_view suffix = ".evidence";
constexpr std::size_t key_size = 32;
constexpr std::size_t nonce_size = 12;
constexpr std::size_t tag_size = 16;
constexpr std::size_t max_file = 1024 * 1024;

using CipherContext = std::unique_ptr<EVP_CIPHER_CTX, decltype(&EVP_CIPHER_CTX_free)>;

Error storage(std::string_view what, const std::filesystem::path& file, int error) {
  return errors::make(Category::unavailable, "evidence-storage",
                      fmt::format("{} {}: {}", what, file.string(), std::strerror(error)));
}

Error altered(const std::filesystem::path& file) {
  return errors::make(Category::internal, "evidence-altered",
                      fmt::format("{} is not what was archived; restore it from a copy", file.string()));
}

// The wrapped key opens for this file only.
std::string key_aad(std::string_view serial_hex) {
  return "avseal-evidence-v1\n" + std::string(serial_hex);
}

// head: the file up to the ciphertext, which the nonce ends.
Result<Bytes> seal(const Secret& key, ByteView head, ByteView plain) {
  const CipherContext context(EVP_CIPHER_CTX_new(), &EVP_CIPHER_CTX_free);
  const auto nonce = head.last(nonce_size);
  Bytes out(plain.size() + tag_size);
  int length = 0;
  if (!context ||
      EVP_EncryptInit_ex(context.get(), EVP_aes_256_gcm(), nullptr, key.reveal().data(), nonce.data()) != 1 ||
      EVP_EncryptUpdate(context.get(), nullptr, &length, head.data(), static_cast<int>(head.size())) != 1 ||
      EVP_EncryptUpdate(context.get(), out.data(), &length, plain.data(), static_cast<int>(plain.size())) != 1 ||
      EVP_EncryptFinal_ex(context.get(), out.data() + plain.size(), &length) != 1 ||
      EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_GCM_GET_TAG, static_cast<int>(tag_size), out.data() + plain.size()) !=
          1) {
    return errors::make(Category::internal, "evidence-cipher", "AES-256-GCM failed in OpenSSL");
  }
  return out;
}

// Nothing if it was altered.
std::optional<Bytes> open_sealed(const Secret& key, ByteView head, ByteView sealed) {
  if (sealed.size() < tag_size || key.size() != key_size) return std::nullopt;
  const CipherContext context(EVP_CIPHER_CTX_new(), &EVP_CIPHER_CTX_free);
  const auto nonce = head.last(nonce_size);
  const auto body = sealed.first(sealed.size() - tag_size);
  Bytes tag(sealed.end() - tag_size, sealed.end());
  Bytes out(body.size());
  int length = 0;
  std::uint8_t none = 0;
  const bool done =
      context &&
      EVP_DecryptInit_ex(context.get(), EVP_aes_256_gcm(), nullptr, key.reveal().data(), nonce.data()) == 1 &&
      EVP_DecryptUpdate(context.get(), nullptr, &length, head.data(), static_cast<int>(head.size())) == 1 &&
      EVP_DecryptUpdate(context.get(), out.data(), &length, body.data(), static_cast<int>(body.size())) == 1 &&
      EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_GCM_SET_TAG, static_cast<int>(tag_size), tag.data()) == 1 &&
      EVP_DecryptFinal_ex(context.get(), &none, &length) == 1;
  if (!done) return std::nullopt;
  return out;
}

Result<void> sync_directory(const std::filesystem::path& directory) {
  const int handle = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const bool synced = handle >= 0 && ::fsync(handle) == 0;
  const int error = errno;
  if (handle >= 0) ::close(handle);
  if (!synced) return storage("cannot sync", directory, error);
  return {};
}

Result<void> write_file(const std::filesystem::path& file, ByteView bytes) {
  const int handle = ::open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (handle < 0) return storage("cannot create", file, errno);
  bool done = true;
  while (done && !bytes.empty()) {
    const auto written = ::write(handle, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    done = written > 0;
    if (done) bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
  done = done && ::fsync(handle) == 0;
  const int error = errno;
  ::close(handle);
  if (done) return sync_directory(file.parent_path());
  ::unlink(file.c_str());
  return storage("cannot write", file, error);
}

Bytes head_of(ByteView wrapped) {
  Bytes head(magic.begin(), magic.end());
  head.push_back(static_cast<std::uint8_t>(wrapped.size() >> 8));
  head.push_back(static_cast<std::uint8_t>(wrapped.size() & 0xff));
  head.insert(head.end(), wrapped.begin(), wrapped.end());
  const auto nonce = tokens::random_bytes(nonce_size);
  head.insert(head.end(), nonce.begin(), nonce.end());
  return head;
}

}  // namespace

std::filesystem::path Archive::file_of(const std::string& serial_hex) const {
  return directory_ / (serial_hex + std::string(suffix));
}

void Archive::remove(const std::string& serial_hex) {
  ::unlink(file_of(serial_hex).c_str());
}

boost::asio::awaitable<Result<std::string>> Archive::put(std::string serial_hex, boost::json::object evidence,
                                                         keyring::Deadline deadline) {
  const Secret key = Secret::random(key_size);
  const auto aad = key_aad(serial_hex);
  const ByteView aad_view = as_bytes(aad);
  auto wrapped = co_await keyring_.wrap(key, aad_view, deadline);
  if (!wrapped) co_return wrapped.error();
  Bytes file = head_of(*wrapped);
  const auto text = boost::json::serialize(evidence);
  AVSEAL_CO_TRY(const auto sealed, seal(key, file, as_bytes(text)));
  file.insert(file.end(), sealed.begin(), sealed.end());
  AVSEAL_CO_CHECK(write_file(file_of(serial_hex), file));
  co_return tokens::hex_encode(tokens::sha256(file));
}

boost::asio::awaitable<Result<boost::json::value>> Archive::get(std::string serial_hex, keyring::Deadline deadline) {
  const auto file = file_of(serial_hex);
  std::ifstream in(file, std::ios::binary);
  if (!in) {
    co_return errors::make(Category::not_found, "evidence-unknown", "no evidence is archived for this certificate");
  }
  const Bytes bytes{std::istreambuf_iterator<char>(in), {}};
  const ByteView all = bytes;
  const std::size_t fixed = magic.size() + 2;
  if (all.size() > max_file || all.size() < fixed || as_text(all.first(magic.size())) != magic) co_return altered(file);
  const std::size_t wrapped_size = static_cast<std::size_t>(all[fixed - 2]) << 8 | all[fixed - 1];
  const std::size_t head_size = fixed + wrapped_size + nonce_size;
  if (all.size() < head_size + tag_size) co_return altered(file);
  const auto aad = key_aad(serial_hex);
  const ByteView wrapped = all.subspan(fixed, wrapped_size);
  const ByteView aad_view = as_bytes(aad);
  auto key = co_await keyring_.unwrap(wrapped, aad_view, deadline);
  if (!key) co_return key.error();
  const auto plain = open_sealed(*key, all.first(head_size), all.subspan(head_size));
  if (!plain) co_return altered(file);
  co_return tokens::parse_json(as_text(*plain), {.size = max_file, .depth = 16});
}

}  // namespace avseal::enrollment
