#include "pkcs11/module.hpp"

#include <algorithm>
#include <cstring>
#include <dlfcn.h>

#include "pkcs11/errors.hpp"

namespace avseal::pkcs11 {

namespace {

Result<std::vector<CK_SLOT_ID>> slots_with_token(const CK_FUNCTION_LIST& api) {
  std::vector<CK_SLOT_ID> slots;
  for (int attempt = 0; attempt < 3; ++attempt) {  // a slot may appear between the two calls
    CK_ULONG count = 0;
    if (const CK_RV rv = api.C_GetSlotList(CK_TRUE, nullptr, &count); rv != CKR_OK) {
      return errors::call_failed("C_GetSlotList", rv);
    }
    slots.resize(count);
    const CK_RV rv = api.C_GetSlotList(CK_TRUE, slots.data(), &count);
    if (rv == CKR_OK) {
      slots.resize(count);
      return slots;
    }
    if (rv != CKR_BUFFER_TOO_SMALL) return errors::call_failed("C_GetSlotList", rv);
  }
  return errors::call_failed("C_GetSlotList", CKR_BUFFER_TOO_SMALL);
}

std::string names_of(const std::vector<Token>& tokens) {
  std::string names;
  for (const Token& token : tokens) {
    names.append(names.empty() ? "" : ", ").append("\"" + token.label() + "\" (serial " + token.serial() + ")");
  }
  return names;
}

// A session as security officer that closes itself; only Token::init needs one.
class OfficerSession {
 public:
  explicit OfficerSession(const CK_FUNCTION_LIST& api) : api_(api) {}
  OfficerSession(const OfficerSession&) = delete;
  OfficerSession& operator=(const OfficerSession&) = delete;
  ~OfficerSession() {
    if (handle_ != 0) api_.C_CloseSession(handle_);
  }

  Result<void> set_user_pin(CK_SLOT_ID slot, Bytes& so_pin, Bytes& user_pin) {
    if (const CK_RV rv = api_.C_OpenSession(slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, nullptr, nullptr, &handle_);
        rv != CKR_OK) {
      return errors::call_failed("C_OpenSession", rv);
    }
    if (const CK_RV rv = api_.C_Login(handle_, CKU_SO, so_pin.data(), so_pin.size()); rv != CKR_OK) {
      return errors::call_failed("C_Login as security officer", rv);
    }
    if (const CK_RV rv = api_.C_InitPIN(handle_, user_pin.data(), user_pin.size()); rv != CKR_OK) {
      return errors::call_failed("C_InitPIN", rv);
    }
    api_.C_Logout(handle_);
    return {};
  }

 private:
  const CK_FUNCTION_LIST& api_;
  CK_SESSION_HANDLE handle_ = 0;
};

// The C API takes PINs by pointers to non-const; this copy clears itself.
struct PinCopy {
  Bytes bytes;
  explicit PinCopy(const Secret& pin) : bytes(pin.reveal().begin(), pin.reveal().end()) {}
  PinCopy(const PinCopy&) = delete;
  PinCopy& operator=(const PinCopy&) = delete;
  ~PinCopy() { explicit_bzero(bytes.data(), bytes.size()); }
};

Result<CK_SLOT_ID> uninitialised_slot(const CK_FUNCTION_LIST& api) {
  AVSEAL_TRY(const std::vector<CK_SLOT_ID> slots, slots_with_token(api));
  for (const CK_SLOT_ID slot : slots) {
    CK_TOKEN_INFO info{};
    if (api.C_GetTokenInfo(slot, &info) == CKR_OK && (info.flags & CKF_TOKEN_INITIALIZED) == 0) return slot;
  }
  return errors::token_not_present("a token that is not initialised", "initialised tokens only");
}

}  // namespace

Result<std::shared_ptr<const Module>> Module::load(const std::filesystem::path& file, Locking locking) {
  void* library = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  if (library == nullptr) return errors::module_unusable(file, dlerror());
  const auto get_function_list = reinterpret_cast<CK_C_GetFunctionList>(dlsym(library, "C_GetFunctionList"));
  CK_FUNCTION_LIST* api = nullptr;
  CK_RV rv = get_function_list == nullptr ? CKR_FUNCTION_NOT_SUPPORTED : get_function_list(&api);
  dlclose(library);  // stays loaded by RTLD_NODELETE: modules' exit handlers do not survive unloading
  if (rv != CKR_OK || api == nullptr) return errors::module_unusable(file, "it has no usable C_GetFunctionList");

  CK_C_INITIALIZE_ARGS arguments{};
  arguments.flags = CKF_OS_LOCKING_OK;
  rv = locking == Locking::none ? CKR_CANT_LOCK : api->C_Initialize(&arguments);
  const bool multi_threaded = rv != CKR_CANT_LOCK;
  if (!multi_threaded) rv = api->C_Initialize(nullptr);
  if (rv != CKR_OK && rv != CKR_CRYPTOKI_ALREADY_INITIALIZED) {
    return errors::call_failed("C_Initialize", rv);
  }
  return std::shared_ptr<const Module>(new Module(api, rv == CKR_OK, multi_threaded));
}

Module::~Module() {
  if (initialised_) api_->C_Finalize(nullptr);
}

Result<std::vector<Token>> Token::all(const std::shared_ptr<const Module>& module) {
  AVSEAL_TRY(const std::vector<CK_SLOT_ID> slots, slots_with_token(module->api()));
  std::vector<Token> tokens;
  for (const CK_SLOT_ID slot : slots) {
    CK_TOKEN_INFO info{};
    const CK_RV rv = module->api().C_GetTokenInfo(slot, &info);
    if (rv == CKR_OK && (info.flags & CKF_TOKEN_INITIALIZED) != 0) tokens.push_back(Token(module, slot, info));
  }
  return tokens;
}

Result<Token> Token::find(const std::shared_ptr<const Module>& module, const Uri& uri) {
  AVSEAL_TRY(std::vector<Token> tokens, all(module));
  const std::string present = names_of(tokens);
  std::erase_if(tokens, [&uri](const Token& token) { return !uri.matches(token.info()); });
  if (tokens.empty()) return errors::token_not_present(uri.text, present);
  if (tokens.size() > 1) return errors::token_ambiguous(uri.text, tokens.size());
  return std::move(tokens.front());
}

Result<Token> Token::init(const std::shared_ptr<const Module>& module, std::string_view label, const Secret& so_pin,
                          const Secret& user_pin) {
  CK_TOKEN_INFO info{};
  if (label.empty() || label.size() > sizeof info.label) {
    return avseal::errors::make(Category::invalid, "label-invalid", "a token's label has 1 to 32 bytes");
  }
  AVSEAL_TRY(const std::vector<Token> present, all(module));
  if (std::any_of(present.begin(), present.end(), [label](const Token& token) { return token.label() == label; })) {
    return errors::token_exists(label);
  }
  const CK_FUNCTION_LIST& api = module->api();
  AVSEAL_TRY(const CK_SLOT_ID slot, uninitialised_slot(api));
  std::memset(info.label, ' ', sizeof info.label);
  std::memcpy(info.label, label.data(), label.size());
  PinCopy so(so_pin);
  PinCopy user(user_pin);
  if (const CK_RV rv = api.C_InitToken(slot, so.bytes.data(), so.bytes.size(), info.label); rv != CKR_OK) {
    return errors::call_failed("C_InitToken", rv);
  }
  AVSEAL_CHECK(OfficerSession(api).set_user_pin(slot, so.bytes, user.bytes));
  Uri uri;
  uri.text = "pkcs11:token=" + std::string(label);
  uri.token = label;
  return find(module, uri);
}

Result<CK_FLAGS> Token::flags() const {
  CK_TOKEN_INFO info{};
  if (const CK_RV rv = module_->api().C_GetTokenInfo(slot_, &info); rv != CKR_OK) {
    return errors::call_failed("C_GetTokenInfo", rv);
  }
  return info.flags;
}

Result<bool> Token::offers(CK_MECHANISM_TYPE mechanism, CK_FLAGS use) const {
  CK_MECHANISM_INFO info{};
  const CK_RV rv = module_->api().C_GetMechanismInfo(slot_, mechanism, &info);
  if (rv == CKR_MECHANISM_INVALID || rv == CKR_FUNCTION_NOT_SUPPORTED) return false;
  if (rv != CKR_OK) return errors::call_failed("C_GetMechanismInfo", rv);
  return (info.flags & use) == use;
}

}  // namespace avseal::pkcs11
