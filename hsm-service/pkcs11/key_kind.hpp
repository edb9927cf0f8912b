#pragma once

#include <array>
#include <string_view>

#include "tokens/result.hpp"

namespace avseal::pkcs11 {

// What a key is for. A key has one kind; the worker refuses everything else with it.
enum class KeyKind { avatar_id, avatar_metadata, access_token, ue_ca, ledger, dac_kek };

inline constexpr std::array all_key_kinds = {KeyKind::avatar_id, KeyKind::avatar_metadata, KeyKind::access_token,
                                             KeyKind::ue_ca,     KeyKind::ledger,          KeyKind::dac_kek};

std::string_view to_string(
    KeyKind kind);  // "avatar-id", "avatar-metadata", "access-token", "ue-ca", "ledger", "dac-kek"
Result<KeyKind> parse_key_kind(std::string_view text);  // reason "kind-unknown"

// dac-kek is AES-256 and wraps; the others are EC and sign.
constexpr bool signs(KeyKind kind) {
  return kind != KeyKind::dac_kek;
}

}  // namespace avseal::pkcs11
