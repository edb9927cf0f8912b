#include "tokend/key.hpp"

#include <fstream>
#include <iterator>

#include "pkcs11/errors.hpp"
#include "pkcs11/keys.hpp"
#include "tokens/digest.hpp"

namespace avseal::tokend {

namespace {

constexpr std::string_view probe_aad = "avseal-probe-v1";
constexpr std::int64_t day = 24 * 60 * 60;

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

Error other_key(const Key& key, std::string_view reason) {
  return errors::make(Category::unavailable, reason,
                      "key \"" + key.config.name + "\": the key on the token is not the one from before");
}

}  // namespace

Result<CK_OBJECT_HANDLE> find_handle(pkcs11::Session& session, const KeyConfig& config) {
  return pkcs11::signs(config.kind) ? pkcs11::find_private_key(session, config.uri)
                                    : pkcs11::find_secret_key(session, config.uri);
}

Result<Key> load_key(pkcs11::Session& session, const KeyConfig& config, const Quirks& quirks) {
  Key key;
  key.config = config;
  AVSEAL_TRY(const CK_OBJECT_HANDLE handle, find_handle(session, config));
  key.rule.kind = config.kind;
  key.rule.origin = config.origin;
  if (!pkcs11::signs(config.kind)) {
    AVSEAL_TRY(key.wrap_form, pkcs11::choose_wrap_form(session, handle));
    key.witness = tokens::random_bytes(32);
    AVSEAL_TRY(key.wrapped_witness, pkcs11::wrap(session, handle, key.wrap_form, key.witness, as_bytes(probe_aad)));
    AVSEAL_CHECK(probe(session, handle, key));
    return key;
  }
  AVSEAL_TRY(key.public_key, pkcs11::read_public_key(session, handle));
  key.rule.algorithm = key.public_key->algorithm();
  AVSEAL_TRY(key.mechanism, pkcs11::find_sign_mechanism(session, handle, *key.public_key, quirks.ecdsa));
  if (config.kind == pkcs11::KeyKind::ue_ca) {
    AVSEAL_TRY(key.rule.issuer, read_issuer(config, *key.public_key));
    key.rule.max_validity_seconds = config.max_validity_days * day;
  }
  return key;
}

Result<void> require_same_key(pkcs11::Session& session, const Key& key) {
  AVSEAL_TRY(const CK_OBJECT_HANDLE handle, find_handle(session, key.config));
  if (!key.public_key) return probe(session, handle, key);
  AVSEAL_TRY(const tokens::PublicKey now, pkcs11::read_public_key(session, handle));
  if (now == *key.public_key) return {};
  return other_key(key, pkcs11::hsm_error);
}

Result<void> probe(pkcs11::Session& session, CK_OBJECT_HANDLE handle, const Key& key) {
  if (key.public_key) return pkcs11::probe_signing(session, handle, key.mechanism, *key.public_key);
  const auto back = pkcs11::unwrap(session, handle, key.wrapped_witness, as_bytes(probe_aad));
  if (back && back->equals(key.witness)) return {};
  if (back || back.error().reason == "wrapped-invalid") return other_key(key, pkcs11::hsm_bad_signature);
  return back.error();
}

}  // namespace avseal::tokend
