#include "tokend/hsm.hpp"

#include <algorithm>
#include <fstream>
#include <iterator>

#include <fmt/format.h>

#include "pkcs11/errors.hpp"
#include "pkcs11/keys.hpp"
#include "pkcs11/operations.hpp"
#include "pkcs11/pin.hpp"
#include "tokens/digest.hpp"

namespace avseal::tokend {

namespace {

constexpr std::string_view probe_prefix = "avseal-probe-v1";
constexpr std::int64_t day = 24 * 60 * 60;

Result<Secret> read_pin(const Config& config) {
  return config.pin_file.empty() ? pkcs11::read_pin_credential(config.pin_credential)
                                 : pkcs11::read_pin_file(config.pin_file);
}

Result<CK_OBJECT_HANDLE> find_handle(pkcs11::Session& session, const KeyConfig& config) {
  return pkcs11::signs(config.kind) ? pkcs11::find_private_key(session, config.uri)
                                    : pkcs11::find_secret_key(session, config.uri);
}

Result<tokens::Certificate> read_issuer(const KeyConfig& config, const tokens::PublicKey& key) {
  const auto unusable = [&config](std::string_view why) {
    return pkcs11::errors::key_unsuitable(config.name, config.issuer_certificate.string() + ": " + std::string(why));
  };
  std::ifstream in(config.issuer_certificate, std::ios::binary);
  const std::string pem{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  if (!in) return unusable("cannot be read");
  auto certificate = tokens::Certificate::from_pem(pem);
  if (!certificate) return unusable(certificate.error().detail);
  if (!(certificate->public_key() == key)) return unusable("it is not the certificate of the key on the token");
  if (!certificate->is_ca()) return unusable("it is no CA certificate");
  return std::move(*certificate);
}

Result<Key> load_key(pkcs11::Session& session, const KeyConfig& config) {
  Key key;
  key.config = config;
  AVSEAL_TRY(const CK_OBJECT_HANDLE handle, find_handle(session, config));
  key.rule.kind = config.kind;
  key.rule.origin = config.origin;
  if (!pkcs11::signs(config.kind)) {
    AVSEAL_TRY(key.wrap_form, pkcs11::choose_wrap_form(session, handle));
    return key;
  }
  AVSEAL_TRY(key.public_key, pkcs11::read_public_key(session, handle));
  key.rule.algorithm = key.public_key->algorithm();
  AVSEAL_TRY(key.mechanism, pkcs11::choose_sign_mechanism(session.token(), key.rule.algorithm));
  if (config.kind == pkcs11::KeyKind::ue_ca) {
    AVSEAL_TRY(key.rule.issuer, read_issuer(config, *key.public_key));
    key.rule.max_validity_seconds = config.max_validity_days * day;
  }
  return key;
}

// Tokens name themselves in any bytes; the protocol takes printable ASCII.
std::string printable(std::string text) {
  std::replace_if(
      text.begin(), text.end(), [](char c) { return c < 0x20 || c > 0x7e; }, '?');
  return text;
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

Result<std::unique_ptr<Hsm>> Hsm::open(const Config& config) {
  AVSEAL_TRY(const Secret pin, read_pin(config));
  AVSEAL_TRY(const std::shared_ptr<const pkcs11::Module> module, pkcs11::Module::load(config.module));
  if (!module->multi_threaded() && config.sessions > 1) {
    return pkcs11::errors::module_unusable(config.module, "it takes one thread only; set sessions = 1");
  }
  AVSEAL_TRY(const pkcs11::Token token, pkcs11::Token::find(module, config.token));
  AVSEAL_TRY(pkcs11::Session login, pkcs11::Session::open(token));
  AVSEAL_CHECK(login.login(pin));
  std::vector<Key> keys;
  for (const KeyConfig& key_config : config.keys) {
    AVSEAL_TRY(Key key, load_key(login, key_config));
    keys.push_back(std::move(key));
  }
  AVSEAL_CHECK(require_distinct(keys));
  return std::unique_ptr<Hsm>(new Hsm(std::move(login), std::move(keys), config.state_directory));
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

TokenInfo Hsm::token_info() const {
  const CK_TOKEN_INFO& info = token().info();
  return {printable(token().label()), printable(token().serial()), printable(pkcs11::unpadded(info.manufacturerID)),
          printable(pkcs11::unpadded(info.model)),
          fmt::format("{}.{}", info.firmwareVersion.major, info.firmwareVersion.minor)};
}

Result<HsmSession> HsmSession::open(const Hsm& hsm) {
  AVSEAL_TRY(pkcs11::Session session, pkcs11::Session::open(hsm.token()));
  std::vector<CK_OBJECT_HANDLE> handles;
  for (const Key& key : hsm.keys()) {
    AVSEAL_TRY(const CK_OBJECT_HANDLE handle, find_handle(session, key.config));
    handles.push_back(handle);
  }
  return HsmSession(hsm, std::move(session), std::move(handles));
}

Result<Bytes> HsmSession::sign(std::size_t key, ByteView input) {
  const Key& with = hsm_->keys()[key];
  return pkcs11::sign(session_, handles_[key], with.mechanism, with.rule.algorithm, input);
}

Result<Bytes> HsmSession::wrap(std::size_t key, ByteView data_key, ByteView aad) {
  return pkcs11::wrap(session_, handles_[key], hsm_->keys()[key].wrap_form, data_key, aad);
}

Result<Bytes> HsmSession::unwrap(std::size_t key, ByteView wrapped, ByteView aad) {
  AVSEAL_TRY(const Secret data_key, pkcs11::unwrap(session_, handles_[key], wrapped, aad));
  return Bytes(data_key.reveal().begin(), data_key.reveal().end());
}

Result<void> HsmSession::probe(std::size_t key) {
  const Key& with = hsm_->keys()[key];
  const Bytes random = tokens::random_bytes(32);
  if (!with.public_key) {
    AVSEAL_TRY(const Bytes wrapped, wrap(key, random, as_bytes(probe_prefix)));
    AVSEAL_TRY(const Secret back, pkcs11::unwrap(session_, handles_[key], wrapped, as_bytes(probe_prefix)));
    if (back.equals(random)) return {};
    return pkcs11::errors::key_unsuitable(with.config.name, "it does not unwrap what it wrapped");
  }
  Bytes message(probe_prefix.begin(), probe_prefix.end());
  message.insert(message.end(), random.begin(), random.end());
  AVSEAL_TRY(const Bytes signature, sign(key, message));
  if (with.public_key->verify(message, signature)) return {};
  return pkcs11::errors::key_unsuitable(with.config.name, "its signatures do not verify with its public key");
}

bool loses_session(const Error& error) {
  return error.reason == pkcs11::hsm_session_lost || error.reason == pkcs11::hsm_device_lost;
}

}  // namespace avseal::tokend
