// One token: its module, itself, its PIN, its sessions, and which keys are on it.
#include <algorithm>
#include <array>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "cli/doctor/checks.hpp"
#include "pkcs11/errors.hpp"
#include "pkcs11/pin.hpp"
#include "tokend/pin_fuse.hpp"

namespace avseal::doctor {
namespace {

using pkcs11::Session;
using pkcs11::Token;

constexpr std::size_t most_sessions = 64;  // that are opened to see whether they can be

struct Mechanism {
  CK_MECHANISM_TYPE type;
  CK_FLAGS use;
  std::string_view name;
};
constexpr std::array signing_mechanisms{Mechanism{CKM_ECDSA, CKF_SIGN, "CKM_ECDSA"},
                                        Mechanism{CKM_ECDSA_SHA256, CKF_SIGN, "CKM_ECDSA_SHA256"},
                                        Mechanism{CKM_ECDSA_SHA384, CKF_SIGN, "CKM_ECDSA_SHA384"}};
constexpr std::array wrapping_mechanisms{Mechanism{CKM_AES_GCM, CKF_ENCRYPT, "CKM_AES_GCM"},
                                         Mechanism{CKM_AES_KEY_WRAP, CKF_WRAP, "CKM_AES_KEY_WRAP"}};

std::string version(const CK_VERSION& version) {
  return fmt::format("{}.{}", version.major, version.minor);
}

// What tokens and modules say of themselves may be any bytes.
std::string printable(std::string text) {
  std::replace_if(
      text.begin(), text.end(), [](char c) { return c < 0x20 || c > 0x7e; }, '?');
  return text;
}

Result<std::shared_ptr<const pkcs11::Module>> load_module(const Worker& worker, Findings& findings) {
  const auto& file = worker.config.module;
  using Locking = pkcs11::Module::Locking;
  auto module = pkcs11::Module::load(file, worker.config.quirks.os_locking ? Locking::of_system : Locking::none);
  if (!module) {
    findings.error(module.error(), file.string(), "a PKCS#11 module that can be initialised",
                   "install the HSM's client, or correct `module` in " + worker.file.string());
    return module.error();
  }
  CK_INFO info{};
  if ((*module)->api().C_GetInfo(&info) == CKR_OK) {
    findings.note("module", worker.name,
                  printable(fmt::format("{}: {} {} of {}, PKCS#11 {}", file.string(),
                                        pkcs11::unpadded(info.libraryDescription), version(info.libraryVersion),
                                        pkcs11::unpadded(info.manufacturerID), version(info.cryptokiVersion))));
  }
  if (!(*module)->multi_threaded() && worker.config.sessions.value_or(1) > 1) {
    findings.error("module-single-threaded", worker.name, "the module refuses the operating system's locks",
                   "sessions = 1 with this module",
                   fmt::format("set sessions = 1 in {} and start more workers instead", worker.file.string()));
  }
  return module;
}

Result<Token> find_token(const Worker& worker, const std::shared_ptr<const pkcs11::Module>& module,
                         Findings& findings) {
  auto token = Token::find(module, worker.config.token);
  if (!token) {
    findings.error(token.error(), worker.name, "exactly one token that matches " + worker.config.token.text,
                   "see that the HSM is reachable, and correct `token` in " + worker.file.string());
    return token.error();
  }
  const auto& info = token->info();
  findings.note(
      "token", worker.name,
      printable(fmt::format("label \"{}\", serial {}, {} {}, hardware {}, firmware {}", token->label(), token->serial(),
                            pkcs11::unpadded(info.manufacturerID), pkcs11::unpadded(info.model),
                            version(info.hardwareVersion), version(info.firmwareVersion))));
  return token;
}

template <std::size_t N>
Result<std::vector<std::string_view>> offered(const Token& token, const std::array<Mechanism, N>& mechanisms) {
  std::vector<std::string_view> names;
  for (const auto& mechanism : mechanisms) {
    AVSEAL_TRY(const bool has, token.offers(mechanism.type, mechanism.use));
    if (has) names.push_back(mechanism.name);
  }
  return names;
}

void check_mechanisms(const Worker& worker, const Token& token, Findings& findings) {
  const auto& keys = worker.config.keys;
  const auto check = [&](bool needed, const Result<std::vector<std::string_view>>& names, std::string_view what) {
    if (!names) {
      findings.error(names.error(), worker.name, "a token that tells its mechanisms",
                     "look at the HSM, then try again");
    } else if (!names->empty()) {
      findings.ok("mechanisms", worker.name, fmt::format("{}: {}", what, fmt::join(*names, ", ")));
    } else if (needed) {
      findings.error(
          "mechanism-missing", worker.name, fmt::format("the token offers no mechanism for {}", what),
          what == "signing" ? "CKM_ECDSA, or CKM_ECDSA_SHA256 and CKM_ECDSA_SHA384" : "CKM_AES_GCM or CKM_AES_KEY_WRAP",
          "enable it in the HSM's policy, or keep keys of this kind on another token");
    }
  };
  const auto signs = [](const tokend::KeyConfig& key) { return pkcs11::signs(key.kind); };
  check(std::any_of(keys.begin(), keys.end(), signs), offered(token, signing_mechanisms), "signing");
  check(!std::all_of(keys.begin(), keys.end(), signs), offered(token, wrapping_mechanisms), "wrapping");
}

// False: nobody may try the PIN.
bool check_pin_flags(const Worker& worker, const Token& token, Findings& findings) {
  const auto flags = token.flags();
  if (!flags) {
    findings.error(flags.error(), worker.name, "the token's state", "see that the HSM is reachable");
    return false;
  }
  struct Flag {
    CK_FLAGS flag;
    const char* id;
    const char* found;
    const char* action;
  };
  constexpr const char* spend =
      "find out who tried a wrong PIN, put the right one in place, then spend one attempt with `avseal token login "
      "--once`";
  constexpr std::array bad{
      Flag{CKF_USER_PIN_LOCKED, "pin-locked", "CKF_USER_PIN_LOCKED: the token takes no PIN any more",
           "let the security officer set a new user PIN"},
      Flag{CKF_USER_PIN_FINAL_TRY, "pin-final-try", "CKF_USER_PIN_FINAL_TRY: one more wrong PIN locks the token",
           spend},
      Flag{CKF_USER_PIN_COUNT_LOW, "pin-count-low",
           "CKF_USER_PIN_COUNT_LOW: a wrong PIN was tried since the last login", spend}};
  for (const auto& [flag, id, found, action] : bad) {
    if ((*flags & flag) == 0) continue;
    findings.error(id, worker.name, found, "no PIN warning; as it is, no worker logs in by itself", action);
    return false;
  }
  if ((*flags & CKF_USER_PIN_INITIALIZED) == 0) {
    findings.error("pin-not-set", worker.name, "the token has no user PIN", "a token with a user PIN",
                   "set one with the HSM's tools, or make the token with `avseal token init`");
    return false;
  }
  findings.ok("pin-flags", worker.name, "no warning");
  return true;
}

std::optional<Secret> read_pin(const Worker& worker, Findings& findings) {
  const auto& config = worker.config;
  const bool credential = config.pin_file.empty();
  auto pin = credential ? pkcs11::read_pin_credential(config.pin_credential) : pkcs11::read_pin_file(config.pin_file);
  if (pin) return std::move(*pin);
  if (credential && std::getenv("CREDENTIALS_DIRECTORY") == nullptr) {
    findings.warning("pin-not-given", worker.name, "the PIN is a systemd credential, which only units get",
                     "the PIN, to see the keys",
                     fmt::format("run it as `systemd-run --pty -p LoadCredentialEncrypted={0}:FILE avseal doctor ...`, "
                                 "FILE as in the worker's unit",
                                 config.pin_credential));
  } else {
    findings.error(pin.error(), worker.name, "a PIN that this user can read",
                   "run it as the worker's user or as root, or mend the file");
  }
  return std::nullopt;
}

Session::Access access_of(const Worker& worker) {
  return worker.config.quirks.read_only_sessions ? Session::Access::read_only : Session::Access::read_write;
}

std::optional<Session> log_in(const Worker& worker, const Token& token, Findings& findings) {
  const auto pin = read_pin(worker, findings);
  if (!pin) return std::nullopt;
  auto session = Session::open(token, access_of(worker));
  if (!session) {
    findings.error("session-refused", worker.name, session.error().detail, "a session on the token",
                   "see that the token has sessions left, and what the module's own log says");
    return std::nullopt;
  }
  auto fuse = tokend::PinFuse::lock(worker.config.state_directory, token);
  const auto done = fuse ? fuse->login(*session, *pin) : Result<void>(fuse.error());
  if (!done) {
    findings.error(done.error(), worker.name, "a login with the configured PIN, behind the workers' own PIN fuse",
                   "put the right PIN in place, then spend one attempt with `avseal token login --once`");
    return std::nullopt;
  }
  findings.ok("login", worker.name, "the token takes the PIN");
  return std::move(*session);
}

// Whether there are as many at once as the workers need, or one worker, while the others run and have theirs. The login
// has one of them.
void check_sessions(const Worker& worker, bool running, const Token& token, Findings& findings) {
  const std::size_t of_one = worker.config.wanted_sessions() + 1;
  const auto wanted = std::min(most_sessions, running ? of_one : of_one * worker.processes);
  std::vector<Session> open;
  std::string refusal;
  const std::size_t of_login = worker.login ? 1 : 0;
  while (of_login + open.size() < wanted && refusal.empty()) {
    auto session = Session::open(token, access_of(worker));
    if (session) {
      open.push_back(std::move(*session));
    } else {
      refusal = session.error().detail;
    }
  }
  const auto limit = token.info().ulMaxSessionCount;
  const auto says = limit == CK_EFFECTIVELY_INFINITE      ? std::string("the token tells no limit")
                    : limit == CK_UNAVAILABLE_INFORMATION ? std::string("the token does not tell its limit")
                                                          : fmt::format("the token tells a limit of {}", limit);
  if (refusal.empty()) {
    findings.ok("sessions", worker.name, fmt::format("{} at once; {}", wanted, says));
    return;
  }
  findings.error(
      "sessions-few", worker.name, fmt::format("only {} at once ({}); {}", of_login + open.size(), refusal, says),
      fmt::format("{} for the configured workers", wanted),
      fmt::format("lower `sessions` in {}, start fewer workers, or raise the HSM's limit", worker.file.string()));
}

void find_keys(Worker& worker, Findings& findings) {
  const auto present = pkcs11::list_keys(*worker.login);
  if (!present) {
    findings.error(present.error(), worker.name, "a list of the token's keys", "see what the module's own log says");
    return;
  }
  std::size_t known = 0;
  for (const auto& key : worker.config.keys) {
    const auto subject = worker.name + "/" + key.name;
    const auto handle = pkcs11::signs(key.kind) ? pkcs11::find_private_key(*worker.login, key.uri)
                                                : pkcs11::find_secret_key(*worker.login, key.uri);
    if (!handle) {
      findings.error(handle.error(), subject, "exactly one key that matches " + key.uri.text,
                     "see `avseal key list`, then correct the key's uri in " + worker.file.string() +
                         " or delete the key that is too many");
      continue;
    }
    const auto found =
        std::find_if(present->begin(), present->end(), [&](const auto& one) { return one.handle == *handle; });
    if (found == present->end()) continue;
    worker.keys.emplace(key.name, *found);
    ++known;
  }
  if (present->size() > known) {
    findings.note("keys-unused", worker.name,
                  fmt::format("{} more keys are on the token than are configured", present->size() - known),
                  "see `avseal key list`; destroy those that nobody needs");
  }
}

}  // namespace

void survey_token(Worker& worker, bool running, Findings& findings) {
  const auto module = load_module(worker, findings);
  if (!module) return;
  const auto token = find_token(worker, *module, findings);
  if (!token) return;
  check_profile(worker, findings);
  check_mechanisms(worker, *token, findings);
  if (!check_pin_flags(worker, *token, findings)) return;
  worker.login = log_in(worker, *token, findings);
  check_sessions(worker, running, *token, findings);
  if (worker.login) find_keys(worker, findings);
}

}  // namespace avseal::doctor
