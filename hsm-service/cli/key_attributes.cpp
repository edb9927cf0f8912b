#include "cli/key_attributes.hpp"

#include <array>

#include "tokens/base64.hpp"

namespace avseal::cli {
namespace {

namespace json = boost::json;
using pkcs11::KeyDescription;

json::value value_of(bool flag) {
  return flag;
}
json::value value_of(const std::string& text) {
  return json::value(text);
}
json::value value_of(const std::vector<std::string>& names) {
  return json::array(names.begin(), names.end());
}

template <auto Member>
json::value get(const KeyDescription& key) {
  const auto& member = key.*Member;
  return member ? value_of(*member) : json::value(nullptr);
}

using K = KeyDescription;
constexpr std::array<KeyAttribute, 21> attributes{{
    {"label",
     "CKA_LABEL",
     "its name on the token; avseal refuses a label that two keys have",
     {},
     [](const K& key) { return value_of(key.label); }},
    {"id",
     "CKA_ID",
     "ties private key, public key and certificate together (hex)",
     {},
     [](const K& key) { return value_of(tokens::hex_encode(key.id)); }},
    {"class",
     "CKA_CLASS",
     "private-key of a pair, or secret-key",
     {},
     [](const K& key) { return value_of(key.object_class); }},
    {"type", "CKA_KEY_TYPE", "algorithm and size", {}, [](const K& key) { return value_of(key.type); }},
    {"sensitive", "CKA_SENSITIVE", "its value is never shown in plain text", true, get<&K::sensitive>},
    {"always_sensitive", "CKA_ALWAYS_SENSITIVE", "that was so from the beginning", true, get<&K::always_sensitive>},
    {"extractable", "CKA_EXTRACTABLE", "it may leave the token under another key", false, get<&K::extractable>},
    {"never_extractable", "CKA_NEVER_EXTRACTABLE", "it never could, from the beginning", true,
     get<&K::never_extractable>},
    {"local", "CKA_LOCAL", "it was made on this token, not imported", true, get<&K::local>},
    {"key_gen_mechanism", "CKA_KEY_GEN_MECHANISM", "how it was made", {}, get<&K::key_gen_mechanism>},
    {"modifiable", "CKA_MODIFIABLE", "its attributes may be changed later", false, get<&K::modifiable>},
    {"private", "CKA_PRIVATE", "only who is logged in sees it", true, get<&K::private_object>},
    {"token", "CKA_TOKEN", "it is kept on the token, not only for a session", true, get<&K::token_object>},
    {"copyable", "CKA_COPYABLE", "another object may be made from it, with other attributes", {}, get<&K::copyable>},
    {"destroyable", "CKA_DESTROYABLE", "it may be destroyed", {}, get<&K::destroyable>},
    {"wrap_with_trusted",
     "CKA_WRAP_WITH_TRUSTED",
     "if it may leave, then only under a key that the security officer trusts",
     {},
     get<&K::wrap_with_trusted>},
    {"allowed_mechanisms",
     "CKA_ALLOWED_MECHANISMS",
     "mechanisms it may be used with; without any: all of its type",
     {},
     get<&K::allowed_mechanisms>},
    {"usage",
     "CKA_SIGN, CKA_DECRYPT, ...",
     "what it may be used for; one purpose is best",
     {},
     [](const K& key) { return value_of(key.usage); }},
    {"start_date", "CKA_START_DATE", "when its use begins, by the token's own note", {}, get<&K::start_date>},
    {"end_date", "CKA_END_DATE", "when its use ends, by the token's own note", {}, get<&K::end_date>},
    {"thumbprint",
     "CKA_EC_POINT",
     "RFC 7638 thumbprint of the public key: kid in tokens and in the ledger",
     {},
     [](const K& key) { return key.public_key ? value_of(key.public_key->thumbprint()) : json::value(nullptr); }},
}};

}  // namespace

std::span<const KeyAttribute> key_attributes() {
  return attributes;
}

}  // namespace avseal::cli
