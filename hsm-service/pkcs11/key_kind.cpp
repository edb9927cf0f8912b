#include "pkcs11/key_kind.hpp"

namespace avseal::pkcs11 {

std::string_view to_string(KeyKind kind) {
  switch (kind) {
    case KeyKind::avatar_id:
      return "avatar-id";
    case KeyKind::avatar_metadata:
      return "avatar-metadata";
    case KeyKind::access_token:
      return "access-token";
    case KeyKind::ue_ca:
      return "ue-ca";
    case KeyKind::ledger:
      return "ledger";
    case KeyKind::dac_kek:
      return "dac-kek";
  }
  return "";
}

Result<KeyKind> parse_key_kind(std::string_view text) {
  std::string known;
  for (const KeyKind kind : all_key_kinds) {
    if (to_string(kind) == text) return kind;
    known.append(known.empty() ? "" : ", ").append(to_string(kind));
  }
  return errors::make(Category::invalid, "kind-unknown",
                      "unknown key kind \"" + std::string(text) + "\", expected one of " + known);
}

}  // namespace avseal::pkcs11
