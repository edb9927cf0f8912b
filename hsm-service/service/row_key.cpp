#include "service/row_key.hpp"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <unistd.h>

#include <fmt/format.h>

namespace avseal::service {
namespace {

constexpr std::string_view purpose = "avseal-store-row-key-v1";
constexpr std::size_t key_size = 32;
constexpr std::size_t max_file_size = 4096;

Error key_error(const std::filesystem::path& file, std::string_view what) {
  return errors::make(Category::internal, "row-key-unusable", fmt::format("{}: {}", file.string(), what));
}

// Durable before the store has any row under it.
Result<void> write_new(const std::filesystem::path& file, ByteView bytes) {
  const int descriptor = ::open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (descriptor < 0) return key_error(file, fmt::format("cannot be made: {}", std::strerror(errno)));
  const bool written =
      ::write(descriptor, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()) && ::fsync(descriptor) == 0;
  ::close(descriptor);
  const int directory = ::open(file.parent_path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const bool synced = directory >= 0 && ::fsync(directory) == 0;
  if (directory >= 0) ::close(directory);
  if (!written || !synced) return key_error(file, "cannot be written to disk");
  return {};
}

}  // namespace

boost::asio::awaitable<Result<Secret>> load_row_key(keyring::Keyring& keyring, std::filesystem::path file,
                                                    bool store_exists, keyring::Deadline deadline) {
  const auto aad = as_bytes(purpose);
  std::error_code ignored;
  if (std::filesystem::exists(file, ignored)) {
    std::ifstream in(file, std::ios::binary);
    Bytes wrapped(max_file_size);
    in.read(reinterpret_cast<char*>(wrapped.data()), static_cast<std::streamsize>(wrapped.size()));
    wrapped.resize(static_cast<std::size_t>(in.gcount()));
    auto key = co_await keyring.unwrap(wrapped, aad, deadline);
    if (!key) co_return key_error(file, fmt::format("the HSM cannot unwrap it: {}", key.error().detail));
    co_return std::move(*key);
  }
  if (store_exists) {
    co_return key_error(
        file, "is missing, but the store exists; restore it, for the store's rows cannot be checked without it");
  }
  auto key = Secret::random(key_size);
  auto wrapped = co_await keyring.wrap(key, aad, deadline);
  if (!wrapped) co_return wrapped.error();
  AVSEAL_CO_CHECK(write_new(file, *wrapped));
  co_return key;
}

}  // namespace avseal::service
