#pragma once

#include <optional>
#include <span>

#include <boost/json.hpp>

#include "pkcs11/keys.hpp"

namespace avseal::cli {

// What an auditor asks of a key: the name in our JSON, PKCS#11's own, what it means, and what a key of avseal has.
struct KeyAttribute {
  std::string_view name;
  std::string_view pkcs11;
  std::string_view meaning;
  std::optional<bool> wanted;                                      // of flags; empty: either will do
  boost::json::value (*value)(const pkcs11::KeyDescription& key);  // null where the module does not tell
};

std::span<const KeyAttribute> key_attributes();

}  // namespace avseal::cli
