#pragma once

#include <string>

#include "pkcs11/keys.hpp"

namespace avseal::cli {

// The key inventory for people and, as a JSON array, for auditors' programs. A flag that the module does not tell is
// "?" or null.
std::string keys_as_table(const std::vector<pkcs11::KeyDescription>& keys);
std::string keys_as_json(const std::vector<pkcs11::KeyDescription>& keys);

std::string pem(std::string_view label, ByteView der);  // RFC 7468

// Writes to the file, or to stdout if its name is empty. Reason "output-failed".
Result<void> write_output(const std::string& file, std::string_view text);

}  // namespace avseal::cli
