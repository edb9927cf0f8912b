// What an auditor asks of a key, read from the module attribute by attribute.
#include <algorithm>
#include <cstring>

#include <fmt/format.h>

#include "pkcs11/keys.hpp"

namespace avseal::pkcs11 {

namespace {

struct MechanismName {
  CK_MECHANISM_TYPE mechanism;
  std::string_view name;
};
constexpr std::array<MechanismName, 14> mechanism_names = {{{CKM_EC_KEY_PAIR_GEN, "CKM_EC_KEY_PAIR_GEN"},
                                                            {CKM_AES_KEY_GEN, "CKM_AES_KEY_GEN"},
                                                            {CKM_GENERIC_SECRET_KEY_GEN, "CKM_GENERIC_SECRET_KEY_GEN"},
                                                            {CKM_RSA_PKCS_KEY_PAIR_GEN, "CKM_RSA_PKCS_KEY_PAIR_GEN"},
                                                            {CKM_ECDSA, "CKM_ECDSA"},
                                                            {CKM_ECDSA_SHA1, "CKM_ECDSA_SHA1"},
                                                            {CKM_ECDSA_SHA256, "CKM_ECDSA_SHA256"},
                                                            {CKM_ECDSA_SHA384, "CKM_ECDSA_SHA384"},
                                                            {CKM_ECDH1_DERIVE, "CKM_ECDH1_DERIVE"},
                                                            {CKM_AES_GCM, "CKM_AES_GCM"},
                                                            {CKM_AES_CBC, "CKM_AES_CBC"},
                                                            {CKM_AES_ECB, "CKM_AES_ECB"},
                                                            {CKM_AES_KEY_WRAP, "CKM_AES_KEY_WRAP"},
                                                            {CKM_AES_KEY_WRAP_PAD, "CKM_AES_KEY_WRAP_PAD"}}};

std::string mechanism_name(CK_MECHANISM_TYPE mechanism) {
  for (const auto& known : mechanism_names) {
    if (known.mechanism == mechanism) return std::string(known.name);
  }
  return fmt::format("0x{:08x}", mechanism);
}

std::string text_of(const Result<Bytes>& value) {
  return value ? std::string(as_text(*value)) : std::string();
}

std::optional<std::string> origin_of(Session& session, CK_OBJECT_HANDLE object) {
  const auto mechanism = session.number(object, CKA_KEY_GEN_MECHANISM);
  if (!mechanism) return std::nullopt;
  return *mechanism == CK_UNAVAILABLE_INFORMATION ? "not made on this token" : mechanism_name(*mechanism);
}

std::optional<std::vector<std::string>> allowed_mechanisms(Session& session, CK_OBJECT_HANDLE object) {
  const auto value = session.attribute(object, CKA_ALLOWED_MECHANISMS);
  if (!value || value->size() % sizeof(CK_MECHANISM_TYPE) != 0) return std::nullopt;
  std::vector<std::string> names;
  for (std::size_t at = 0; at < value->size(); at += sizeof(CK_MECHANISM_TYPE)) {
    CK_MECHANISM_TYPE mechanism = 0;
    std::memcpy(&mechanism, value->data() + at, sizeof mechanism);
    names.push_back(mechanism_name(mechanism));
  }
  return names;
}

// "2026-01-31"; empty where the key has none.
std::optional<std::string> date(Session& session, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type) {
  const auto value = session.attribute(object, type);
  if (!value) return std::nullopt;
  const auto text = as_text(*value);
  const bool whole = text.size() == sizeof(CK_DATE) && text.find_first_not_of("0123456789") == std::string_view::npos;
  if (!whole) return std::string();
  return fmt::format("{}-{}-{}", text.substr(0, 4), text.substr(4, 2), text.substr(6, 2));
}

std::vector<std::string> usage_of(Session& session, CK_OBJECT_HANDLE object) {
  constexpr std::array<std::pair<CK_ATTRIBUTE_TYPE, const char*>, 8> uses = {{{CKA_SIGN, "sign"},
                                                                              {CKA_SIGN_RECOVER, "sign-recover"},
                                                                              {CKA_VERIFY, "verify"},
                                                                              {CKA_ENCRYPT, "encrypt"},
                                                                              {CKA_DECRYPT, "decrypt"},
                                                                              {CKA_WRAP, "wrap"},
                                                                              {CKA_UNWRAP, "unwrap"},
                                                                              {CKA_DERIVE, "derive"}}};
  std::vector<std::string> usage;
  for (const auto& [type, name] : uses) {
    if (session.flag(object, type).value_or(false)) usage.emplace_back(name);
  }
  return usage;
}

void read_type(Session& session, KeyDescription& key) {
  const auto type = session.number(key.handle, CKA_KEY_TYPE);
  key.type = type ? "type " + std::to_string(*type) : "type unknown";
  if (type && *type == CKK_EC) {
    if (auto public_key = read_public_key(session, key.handle)) {
      key.type = public_key->algorithm() == tokens::Algorithm::es256 ? "EC P-256" : "EC P-384";
      key.public_key = std::move(*public_key);
    }
  } else if (type && *type == CKK_AES) {
    const auto size = session.number(key.handle, CKA_VALUE_LEN);
    key.type = size ? "AES-" + std::to_string(*size * 8) : "AES";
  }
}

KeyDescription describe(Session& session, CK_OBJECT_CLASS object_class, CK_OBJECT_HANDLE object) {
  KeyDescription key;
  key.handle = object;
  key.object_class = object_class == CKO_PRIVATE_KEY ? "private-key" : "secret-key";
  key.label = text_of(session.attribute(object, CKA_LABEL));
  if (const auto id = session.attribute(object, CKA_ID)) key.id = *id;
  key.sensitive = session.flag(object, CKA_SENSITIVE);
  key.extractable = session.flag(object, CKA_EXTRACTABLE);
  key.always_sensitive = session.flag(object, CKA_ALWAYS_SENSITIVE);
  key.never_extractable = session.flag(object, CKA_NEVER_EXTRACTABLE);
  key.local = session.flag(object, CKA_LOCAL);
  key.modifiable = session.flag(object, CKA_MODIFIABLE);
  key.private_object = session.flag(object, CKA_PRIVATE);
  key.token_object = session.flag(object, CKA_TOKEN);
  key.copyable = session.flag(object, CKA_COPYABLE);
  key.destroyable = session.flag(object, CKA_DESTROYABLE);
  key.wrap_with_trusted = session.flag(object, CKA_WRAP_WITH_TRUSTED);
  key.key_gen_mechanism = origin_of(session, object);
  key.allowed_mechanisms = allowed_mechanisms(session, object);
  key.start_date = date(session, object, CKA_START_DATE);
  key.end_date = date(session, object, CKA_END_DATE);
  key.usage = usage_of(session, object);
  read_type(session, key);
  return key;
}

}  // namespace

Result<std::vector<KeyDescription>> list_keys(Session& session) {
  std::vector<KeyDescription> keys;
  for (const CK_OBJECT_CLASS object_class : {CKO_PRIVATE_KEY, CKO_SECRET_KEY}) {
    Template wanted;
    wanted.number(CKA_CLASS, object_class);
    AVSEAL_TRY(const std::vector<CK_OBJECT_HANDLE> found, session.find(wanted, 1024));
    for (const CK_OBJECT_HANDLE object : found) keys.push_back(describe(session, object_class, object));
  }
  std::sort(keys.begin(), keys.end(), [](const KeyDescription& a, const KeyDescription& b) {
    return std::tie(a.label, a.id) < std::tie(b.label, b.id);
  });
  return keys;
}

}  // namespace avseal::pkcs11
