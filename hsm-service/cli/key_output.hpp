#pragma once

#include <filesystem>
#include <string>

#include "pkcs11/keys.hpp"

namespace avseal::cli {

// The key inventory for people and, as a JSON array, for auditors' programs. A flag that the module does not tell is
// "?" or null.
std::string keys_as_table(const std::vector<pkcs11::KeyDescription>& keys);
std::string keys_explained(const std::vector<pkcs11::KeyDescription>& keys);  // every attribute and what it means
std::string keys_as_json(const std::vector<pkcs11::KeyDescription>& keys);

std::string pem(std::string_view label, ByteView der);  // RFC 7468

// Writes the file so that whoever reads it finds the old text or the new one, also after a crash. Reason
// "output-failed".
Result<void> replace_file(const std::filesystem::path& file, std::string_view text);

// Writes to the file, or to stdout if its name is empty. Reason "output-failed".
Result<void> write_output(const std::string& file, std::string_view text);

}  // namespace avseal::cli
