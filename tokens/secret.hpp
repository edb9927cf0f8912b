// The one type that holds a PIN, an auth value or a data key.
#pragma once

#include <cstddef>
#include <memory>

#include "tokens/bytes.hpp"

namespace avseal {

// Move-only bytes in locked memory outside core dumps (mlock, MADV_DONTDUMP), cleared when they die. No copy, no
// comparison but equals(), no stream operator: it cannot be printed.
class Secret {
 public:
  Secret() noexcept = default;
  static Secret copy_of(ByteView bytes);   // the caller clears its own copy
  static Secret random(std::size_t size);  // from the kernel's generator; aborts if that fails
  Secret(Secret&& other) noexcept;
  Secret& operator=(Secret&& other) noexcept;
  ~Secret();

  [[nodiscard]] ByteView reveal() const noexcept { return {data_, size_}; }  // greppable: each use is reviewed
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
  [[nodiscard]] bool equals(ByteView other) const noexcept;  // constant time for equal sizes

 private:
  std::uint8_t* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace avseal
