#pragma once

#include <filesystem>
#include <memory>
#include <vector>

#include <p11-kit/pkcs11.h>

#include "pkcs11/uri.hpp"
#include "tokens/secret.hpp"

namespace avseal::pkcs11 {

// A loaded and initialised PKCS#11 module. Never fork after load(): start other processes by exec before it.
class Module {
 public:
  // dlopen, C_GetFunctionList, C_Initialize, asking for the operating system's locks if so wanted. Reason
  // "module-unusable" if it is no PKCS#11 module; what C_Initialize says may be cured by another process.
  enum class Locking { of_system, none };
  static Result<std::shared_ptr<const Module>> load(const std::filesystem::path& file,
                                                    Locking locking = Locking::of_system);

  Module(const Module&) = delete;
  Module& operator=(const Module&) = delete;
  ~Module();  // C_Finalize, but only if it was we who initialised; the library stays loaded

  [[nodiscard]] const CK_FUNCTION_LIST& api() const { return *api_; }
  [[nodiscard]] bool multi_threaded() const { return multi_threaded_; }  // false: one thread may call it at a time

 private:
  Module(CK_FUNCTION_LIST* api, bool initialised, bool multi_threaded)
      : api_(api), initialised_(initialised), multi_threaded_(multi_threaded) {}

  CK_FUNCTION_LIST* api_;
  bool initialised_;
  bool multi_threaded_;
};

// An initialised token in some slot. The slot is resolved anew by every find(); it is never configured.
class Token {
 public:
  static Result<std::vector<Token>> all(const std::shared_ptr<const Module>& module);

  // Exactly one token that the URI matches. Reasons "token-not-present", "token-ambiguous".
  static Result<Token> find(const std::shared_ptr<const Module>& module, const Uri& uri);

  // C_InitToken on a slot whose token is not initialised, then C_InitPIN. Reason "token-exists" if a token has the
  // label.
  static Result<Token> init(const std::shared_ptr<const Module>& module, std::string_view label, const Secret& so_pin,
                            const Secret& user_pin);

  [[nodiscard]] const std::shared_ptr<const Module>& module() const { return module_; }
  [[nodiscard]] CK_SLOT_ID slot() const { return slot_; }
  [[nodiscard]] const CK_TOKEN_INFO& info() const { return info_; }  // as of find()
  [[nodiscard]] std::string label() const { return unpadded(info_.label); }
  [[nodiscard]] std::string serial() const { return unpadded(info_.serialNumber); }
  [[nodiscard]] Result<CK_FLAGS> flags() const;  // CKF_, asked now

  // Whether the token has the mechanism with that CKF_ use; an error, if it does not say.
  [[nodiscard]] Result<bool> offers(CK_MECHANISM_TYPE mechanism, CK_FLAGS use) const;

 private:
  Token(std::shared_ptr<const Module> module, CK_SLOT_ID slot, const CK_TOKEN_INFO& info)
      : module_(std::move(module)), slot_(slot), info_(info) {}

  std::shared_ptr<const Module> module_;
  CK_SLOT_ID slot_;
  CK_TOKEN_INFO info_;
};

}  // namespace avseal::pkcs11
