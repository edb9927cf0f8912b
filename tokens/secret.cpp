#include "tokens/secret.hpp"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <sys/mman.h>
#include <sys/random.h>
#include <utility>

#include <openssl/crypto.h>

namespace avseal {
namespace {

// A mapping of its own per secret: munlock() of a shared page would unlock a neighbour's. Locking is best effort, for
// RLIMIT_MEMLOCK may be small; exclusion from core dumps is not limited.
std::uint8_t* allocate(std::size_t size) {
  void* memory = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) std::abort();
  ::mlock(memory, size);
  ::madvise(memory, size, MADV_DONTDUMP);
  return static_cast<std::uint8_t*>(memory);
}

void release(std::uint8_t* data, std::size_t size) noexcept {
  if (data == nullptr) return;
  OPENSSL_cleanse(data, size);
  ::munmap(data, size);
}

}  // namespace

Secret Secret::copy_of(ByteView bytes) {
  Secret secret;
  if (bytes.empty()) return secret;
  secret.data_ = allocate(bytes.size());
  secret.size_ = bytes.size();
  std::memcpy(secret.data_, bytes.data(), bytes.size());
  return secret;
}

Secret Secret::random(std::size_t size) {
  Secret secret;
  if (size == 0) return secret;
  secret.data_ = allocate(size);
  secret.size_ = size;
  for (std::size_t done = 0; done < size;) {
    const ssize_t got = ::getrandom(secret.data_ + done, size - done, 0);
    if (got > 0) {
      done += static_cast<std::size_t>(got);
    } else if (errno != EINTR) {
      std::abort();
    }
  }
  return secret;
}

Secret::Secret(Secret&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

Secret& Secret::operator=(Secret&& other) noexcept {
  if (this != &other) {
    release(data_, size_);
    data_ = std::exchange(other.data_, nullptr);
    size_ = std::exchange(other.size_, 0);
  }
  return *this;
}

Secret::~Secret() {
  release(data_, size_);
}

bool Secret::equals(ByteView other) const noexcept {
  return size_ == other.size() && (size_ == 0 || CRYPTO_memcmp(data_, other.data(), size_) == 0);
}

}  // namespace avseal
