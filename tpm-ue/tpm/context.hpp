// RAII over ESAPI. A Context and everything made with it belong to one thread (worker.hpp).
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <tss2/tss2_esys.h>

#include "tokens/bytes.hpp"
#include "tpm/errors.hpp"

namespace avseal::tpm {

inline constexpr std::string_view default_tcti = "device:/dev/tpmrm0";

// What stands at the other end, for logs.
struct TpmInfo {
  std::string tcti;
  std::string manufacturer;  // TPM_PT_MANUFACTURER, "IBM" for swtpm
  std::string vendor;        // TPM_PT_VENDOR_STRING_1..4
  std::string firmware;      // "8217.4131.16.2"
  bool emulated = false;     // reached by a TCTI that exists for tests
  bool managed = false;      // a resource manager or tabrmd stands between; it is theirs to end the TPM's work orderly
};

// What a lost connection left in the TPM. Behind a resource manager nothing is left, and a reset leaves nothing either;
// but a TPM reached directly would run out of its few slots.
struct Leftover {
  TPM2_HANDLE handle = TPM2_RH_NULL;
  Bytes name;  // empty for a session
};

// Memory that ESAPI handed out.
struct EsysFree {
  void operator()(void* p) const noexcept { Esys_Free(p); }
};
template <class T>
using EsysPtr = std::unique_ptr<T, EsysFree>;

// One ESYS_CONTEXT on its own TCTI. After a transport error it stays unusable; make a new one.
class Context {
 public:
  // tcti: a tctildr configuration string; only device, tabrmd, swtpm and mssim are loaded. Connects and asks who is
  // there.
  static Result<std::unique_ptr<Context>> open(const std::string& tcti);
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;
  ~Context();

  // Runs one ESAPI call; repeats it with growing pauses, below a second in total, while the TPM asks for that.
  Result<void> command(std::string_view name, const std::function<TSS2_RC(ESYS_CONTEXT*)>& call);

  // One of the TPM's 32-bit properties (TPM_PT), or nothing if it has none.
  Result<std::optional<std::uint32_t>> property(TPM2_PT which);

  // TPM2_Shutdown(CLEAR) at an orderly stop, where nobody else does it: an unclean power cycle counts against the
  // dictionary-attack counter if others used keys without noDA, and leaves the TPM's clock unsafe.
  void shut_down();
  // Objects and sessions whose handles died after the connection was lost.
  std::vector<Leftover> take_leftovers() { return std::exchange(leftovers_, {}); }

  [[nodiscard]] const TpmInfo& info() const { return info_; }
  [[nodiscard]] ESYS_CONTEXT* native() const { return esys_; }
  [[nodiscard]] bool usable() const { return usable_; }

 private:
  friend class Handle;
  Context() = default;
  Result<void> describe();

  TSS2_TCTI_CONTEXT* tcti_ = nullptr;
  ESYS_CONTEXT* esys_ = nullptr;
  TpmInfo info_;
  std::vector<Leftover> leftovers_;
  bool usable_ = true;
};

// A handle in a Context: a transient object or a session is flushed from the TPM when it dies, a persistent object is
// only forgotten. Must not outlive its Context.
class Handle {
 public:
  enum class Kind { flushed, persistent };

  Handle() noexcept = default;
  Handle(Context& context, ESYS_TR handle, Kind kind) : context_(&context), handle_(handle), kind_(kind) {}
  Handle(Handle&& other) noexcept;
  Handle& operator=(Handle&& other) noexcept;
  ~Handle();

  void forget() noexcept { kind_ = Kind::persistent; }  // leaves the object in the TPM
  [[nodiscard]] ESYS_TR get() const { return handle_; }
  [[nodiscard]] bool is_persistent() const { return kind_ == Kind::persistent; }
  // The TPM's own number of it.
  [[nodiscard]] TPM2_HANDLE tpm_handle() const;
  // The Name (TPM 2.0 part 1, 16) that ESAPI computed from the public area it keeps, and uses to salt sessions.
  [[nodiscard]] Result<Bytes> name() const;

 private:
  void flush() const;
  void remember() const;

  Context* context_ = nullptr;
  ESYS_TR handle_ = ESYS_TR_NONE;
  Kind kind_ = Kind::flushed;
};

}  // namespace avseal::tpm
