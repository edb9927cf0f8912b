// Reading and writing one TPM structure with tss2-mu, of this directory.
#pragma once

#include <algorithm>
#include <array>

#include <tss2/tss2_mu.h>

#include "structures/errors.hpp"
#include "tokens/bytes.hpp"

namespace avseal::tpm {

template <class T>
using Unmarshal = TSS2_RC (*)(const std::uint8_t*, std::size_t, std::size_t*, T*);
template <class T>
using Marshal = TSS2_RC (*)(const T*, std::uint8_t*, std::size_t, std::size_t*);

template <class T>
Result<Bytes> write_exact(const T& value, Marshal<T> marshal, std::string_view what) {
  std::array<std::uint8_t, sizeof(T)> buffer{};
  std::size_t size = 0;
  if (marshal(&value, buffer.data(), buffer.size(), &size) != TSS2_RC_SUCCESS) return errors::malformed(what);
  return Bytes(buffer.data(), buffer.data() + size);
}

// The structure must take all bytes. The library reads leniently: its own form must give the same bytes again.
template <class T>
Result<T> read_exact(ByteView bytes, std::size_t max_size, Unmarshal<T> unmarshal, Marshal<T> marshal,
                     std::string_view what) {
  if (bytes.empty() || bytes.size() > max_size) return errors::malformed(what);
  T value{};
  std::size_t offset = 0;
  if (unmarshal(bytes.data(), bytes.size(), &offset, &value) != TSS2_RC_SUCCESS || offset != bytes.size()) {
    return errors::malformed(what);
  }
  const auto again = write_exact(value, marshal, what);
  if (!again || !std::equal(again->begin(), again->end(), bytes.begin(), bytes.end())) return errors::malformed(what);
  return value;
}

// Appends a big-endian number of at most 32 bytes, left-padded: a TPM may have trimmed it.
inline Result<void> append_padded(Bytes& out, const TPM2B_ECC_PARAMETER& number) {
  constexpr std::size_t p256_bytes = 32;
  if (number.size > p256_bytes) return errors::malformed("P-256 coordinate or scalar");
  out.insert(out.end(), p256_bytes - number.size, 0);
  out.insert(out.end(), number.buffer, number.buffer + number.size);
  return {};
}

}  // namespace avseal::tpm
