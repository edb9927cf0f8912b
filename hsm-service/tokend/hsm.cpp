#include "tokend/hsm.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "pkcs11/errors.hpp"
#include "pkcs11/pin.hpp"
#include "tokend/pin_fuse.hpp"

namespace avseal::tokend {

namespace {

using pkcs11::Module;
using pkcs11::Session;

Result<Secret> read_pin(const Config& config) {
  return config.pin_file.empty() ? pkcs11::read_pin_credential(config.pin_credential)
                                 : pkcs11::read_pin_file(config.pin_file);
}

// Tokens name themselves in any bytes; the protocol takes printable ASCII.
std::string printable(std::string text) {
  std::replace_if(
      text.begin(), text.end(), [](char c) { return c < 0x20 || c > 0x7e; }, '?');
  return text;
}

TokenInfo describe(const pkcs11::Token& token) {
  const CK_TOKEN_INFO& info = token.info();
  return {printable(token.label()), printable(token.serial()), printable(pkcs11::unpadded(info.manufacturerID)),
          printable(pkcs11::unpadded(info.model)),
          fmt::format("{}.{}", info.firmwareVersion.major, info.firmwareVersion.minor)};
}

std::string algorithm_of(const Key& key) {
  if (key.public_key) return std::string(tokens::to_string(key.rule.algorithm));
  return key.wrap_form == pkcs11::WrapForm::aes_gcm ? "A256GCM" : "A256KW";
}

// The same object under two names would have two rules: its rule could be got around.
Result<void> require_distinct(const std::vector<Key>& keys) {
  for (std::size_t i = 0; i < keys.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      if (keys[i].public_key && keys[j].public_key && *keys[i].public_key == *keys[j].public_key) {
        return pkcs11::errors::key_unsuitable(
            keys[i].config.name, "it is the same key as \"" + keys[j].config.name + "\"; a key has one kind");
      }
    }
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<Hsm>> Hsm::open(const Config& config, Watchdog::Call& watched) {
  const auto locking = config.quirks.os_locking ? Module::Locking::of_system : Module::Locking::none;
  AVSEAL_TRY(auto module, Module::load(config.module, locking));
  auto hsm = std::unique_ptr<Hsm>(new Hsm(config, std::move(module)));
  if (!config.quirks.read_only_sessions) hsm->access_ = Session::Access::read_write;
  AVSEAL_TRY(Session login, hsm->log_in(watched));
  for (const KeyConfig& key_config : config.keys) {
    watched.next();
    AVSEAL_TRY(Key key, load_key(login, key_config, config.quirks));
    hsm->probed(key);
    hsm->keys_.push_back(std::move(key));
  }
  AVSEAL_CHECK(require_distinct(hsm->keys_));
  hsm->token_info_ = describe(login.token());
  hsm->token_ = login.token();
  hsm->access_ = login.access();
  hsm->login_ = std::move(login);
  if (hsm->wanted_sessions() < config.wanted_sessions()) {
    spdlog::warn("event=single-threaded sessions=1 wanted={} reason=\"the module takes one thread only\"",
                 config.wanted_sessions());
  }
  return hsm;
}

Result<Session> Hsm::log_in(Watchdog::Call& watched) {
  watched.next();
  AVSEAL_TRY(const pkcs11::Token token, pkcs11::Token::find(module_, config_.token));
  AVSEAL_TRY(Session session, Session::open(token, access_));
  if (session.logged_in().value_or(false)) return session;
  AVSEAL_TRY(const Secret pin, read_pin(config_));
  watched.pause();  // other workers may take long, and are watched themselves
  AVSEAL_TRY(PinFuse fuse, PinFuse::lock(config_.state_directory, token));
  watched.next();
  AVSEAL_CHECK(fuse.login(session, pin));
  return session;
}

Result<void> Hsm::reopen(Watchdog::Call& watched) {
  {
    const std::lock_guard lock(mutex_);
    login_.reset();  // lost, or of no more use; a token may have few sessions
  }
  AVSEAL_TRY(Session login, log_in(watched));
  for (const Key& key : keys_) {
    watched.next();
    AVSEAL_CHECK(require_same_key(login, key));
  }
  const std::lock_guard lock(mutex_);
  token_ = login.token();
  login_ = std::move(login);
  generation_.fetch_add(1, std::memory_order_release);
  return {};
}

Result<Session> Hsm::open_session() {
  const std::lock_guard lock(mutex_);
  auto session = Session::open(*token_, access_);
  if (session || !login_ || !pkcs11::is_session_limit(session.error())) return session;
  Session given = std::move(*login_);
  login_.reset();
  return given;
}

unsigned Hsm::wanted_sessions() const {
  return module_->multi_threaded() ? config_.wanted_sessions() : 1;
}

std::optional<std::size_t> Hsm::find(std::string_view name) const {
  const auto found =
      std::find_if(keys_.begin(), keys_.end(), [name](const Key& key) { return key.config.name == name; });
  if (found == keys_.end()) return std::nullopt;
  return static_cast<std::size_t>(found - keys_.begin());
}

std::vector<KeyInfo> Hsm::announcement() const {
  std::vector<KeyInfo> infos;
  for (const Key& key : keys_) {
    infos.push_back({key.config.name, std::string(pkcs11::to_string(key.config.kind)), algorithm_of(key),
                     key.public_key ? key.public_key->spki() : Bytes()});
  }
  return infos;
}

}  // namespace avseal::tokend
