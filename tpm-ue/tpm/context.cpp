#include "tpm/context.hpp"

#include <algorithm>
#include <array>
#include <thread>

#include <fmt/format.h>
#include <tss2/tss2_tctildr.h>

namespace avseal::tpm {

namespace {

enum class Tcti { refused, hardware, emulator };

// The loader would dlopen any file name, and `cmd` runs programs: only these are let through.
Tcti classify(std::string_view tcti) {
  const std::string_view name = tcti.substr(0, tcti.find(':'));
  if (name == "device" || name == "tabrmd") return Tcti::hardware;
  if (name == "swtpm" || name == "mssim") return Tcti::emulator;
  return Tcti::refused;
}

// The kernel's resource manager has no other name; "device" alone tries it first.
bool is_managed(std::string_view tcti) {
  return tcti == "device" || tcti == "device:" || tcti.starts_with("device:/dev/tpmrm") || tcti.starts_with("tabrmd");
}

// Property values carry text as big-endian words padded with NUL or blanks.
std::string text_of(std::uint32_t value) {
  std::string text;
  for (int shift = 24; shift >= 0; shift -= 8) {
    const auto c = static_cast<char>((value >> shift) & 0xFFU);
    if (c >= ' ' && c <= '~') text.push_back(c);
  }
  return text;
}

std::string trimmed(std::string text) {
  while (!text.empty() && text.back() == ' ') text.pop_back();
  return text;
}

}  // namespace

Result<std::unique_ptr<Context>> Context::open(const std::string& tcti) {
  const Tcti kind = classify(tcti);
  if (kind == Tcti::refused) return errors::tcti_refused(tcti);
  std::unique_ptr<Context> context(new Context);
  context->info_.tcti = tcti;
  context->info_.emulated = kind == Tcti::emulator;
  context->info_.managed = is_managed(tcti);
  if (const TSS2_RC rc = Tss2_TctiLdr_Initialize(tcti.c_str(), &context->tcti_); rc != TSS2_RC_SUCCESS) {
    return errors::from_rc(TSS2_TCTI_RC_LAYER | (rc & ~TSS2_RC_LAYER_MASK), "open " + tcti);
  }
  if (const TSS2_RC rc = Esys_Initialize(&context->esys_, context->tcti_, nullptr); rc != TSS2_RC_SUCCESS) {
    return errors::from_rc(rc, "Esys_Initialize");
  }
  AVSEAL_CHECK(context->describe());
  return context;
}

Context::~Context() {
  if (esys_ != nullptr) Esys_Finalize(&esys_);
  if (tcti_ != nullptr) Tss2_TctiLdr_Finalize(&tcti_);
}

Result<void> Context::command(std::string_view name, const std::function<TSS2_RC(ESYS_CONTEXT*)>& call) {
  using namespace std::chrono_literals;
  constexpr std::array pauses{20ms, 60ms, 180ms, 540ms};
  TSS2_RC rc = call(esys_);
  for (const auto pause : pauses) {
    if (!is_busy(rc)) break;
    std::this_thread::sleep_for(pause);
    rc = call(esys_);
  }
  if (rc == TSS2_RC_SUCCESS) return {};
  Error error = errors::from_rc(rc, name);
  if (needs_new_context(error)) usable_ = false;
  return error;
}

Result<std::optional<std::uint32_t>> Context::property(TPM2_PT which) {
  TPMS_CAPABILITY_DATA* raw = nullptr;
  AVSEAL_CHECK(command("TPM2_GetCapability", [&](ESYS_CONTEXT* esys) {
    TPMI_YES_NO more = TPM2_NO;
    return Esys_GetCapability(esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, TPM2_CAP_TPM_PROPERTIES, which, 1, &more,
                              &raw);
  }));
  const EsysPtr<TPMS_CAPABILITY_DATA> data(raw);
  const TPML_TAGGED_TPM_PROPERTY& list = data->data.tpmProperties;
  if (list.count == 0 || list.tpmProperty[0].property != which) return std::optional<std::uint32_t>{};
  return std::optional<std::uint32_t>(list.tpmProperty[0].value);
}

void Context::shut_down() {
  if (!usable_ || info_.managed) return;
  // Nothing to do about a failure: the TPM is left as a power loss would leave it.
  static_cast<void>(command("TPM2_Shutdown", [](ESYS_CONTEXT* esys) {
    return Esys_Shutdown(esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, TPM2_SU_CLEAR);
  }));
}

Result<void> Context::describe() {
  TPMS_CAPABILITY_DATA* raw = nullptr;
  AVSEAL_CHECK(command("TPM2_GetCapability", [&](ESYS_CONTEXT* esys) {
    TPMI_YES_NO more = TPM2_NO;
    return Esys_GetCapability(esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, TPM2_CAP_TPM_PROPERTIES, TPM2_PT_FIXED,
                              TPM2_MAX_TPM_PROPERTIES, &more, &raw);
  }));
  const EsysPtr<TPMS_CAPABILITY_DATA> data(raw);
  const TPML_TAGGED_TPM_PROPERTY& list = data->data.tpmProperties;
  for (std::uint32_t i = 0; i < std::min<std::uint32_t>(list.count, TPM2_MAX_TPM_PROPERTIES); ++i) {
    const auto [property, value] = list.tpmProperty[i];
    if (property == TPM2_PT_MANUFACTURER) info_.manufacturer = trimmed(text_of(value));
    if (property >= TPM2_PT_VENDOR_STRING_1 && property <= TPM2_PT_VENDOR_STRING_4) info_.vendor += text_of(value);
    if (property == TPM2_PT_FIRMWARE_VERSION_1 || property == TPM2_PT_FIRMWARE_VERSION_2) {
      const std::string_view dot = info_.firmware.empty() ? "" : ".";
      info_.firmware += fmt::format("{}{}.{}", dot, value >> 16U, value & 0xFFFFU);
    }
  }
  info_.vendor = trimmed(std::move(info_.vendor));
  return {};
}

Handle::Handle(Handle&& other) noexcept
    : context_(std::exchange(other.context_, nullptr)),
      handle_(std::exchange(other.handle_, ESYS_TR_NONE)),
      kind_(other.kind_) {}

Handle& Handle::operator=(Handle&& other) noexcept {
  std::swap(context_, other.context_);
  std::swap(handle_, other.handle_);
  std::swap(kind_, other.kind_);
  return *this;
}

Handle::~Handle() {
  if (context_ == nullptr || handle_ == ESYS_TR_NONE) return;
  // A context that lost its TPM would only fail again; closing the context frees its side.
  if (!context_->usable()) {
    remember();
  } else if (kind_ == Kind::persistent) {
    Esys_TR_Close(context_->native(), &handle_);
  } else {
    flush();
  }
}

void Handle::flush() const {
  const TSS2_RC rc = Esys_FlushContext(context_->native(), handle_);
  if (rc == TSS2_RC_SUCCESS || !needs_new_context(errors::from_rc(rc, "TPM2_FlushContext"))) return;
  context_->usable_ = false;
  remember();
}

void Handle::remember() const {
  if (kind_ == Kind::persistent) return;
  Leftover leftover{tpm_handle(), {}};
  if (leftover.handle >> TPM2_HR_SHIFT == TPM2_HT_TRANSIENT) {
    auto own = name();
    if (!own) return;
    leftover.name = std::move(*own);
  }
  context_->leftovers_.push_back(std::move(leftover));
}

TPM2_HANDLE Handle::tpm_handle() const {
  TPM2_HANDLE number = 0;
  const TSS2_RC rc = Esys_TR_GetTpmHandle(context_->native(), handle_, &number);
  return rc == TSS2_RC_SUCCESS ? number : TPM2_HANDLE{TPM2_RH_NULL};
}

Result<Bytes> Handle::name() const {
  TPM2B_NAME* raw = nullptr;
  AVSEAL_CHECK(
      context_->command("Esys_TR_GetName", [&](ESYS_CONTEXT* esys) { return Esys_TR_GetName(esys, handle_, &raw); }));
  const EsysPtr<TPM2B_NAME> name(raw);
  return Bytes(name->name, name->name + name->size);
}

}  // namespace avseal::tpm
