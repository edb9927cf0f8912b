#pragma once

#include <filesystem>
#include <string_view>

#include "tokens/result.hpp"
#include "tokens/secret.hpp"

namespace avseal::pkcs11 {

// A PIN from a regular file that others cannot read, without its last newline; 1 to 256 bytes. Reason "pin-unreadable".
Result<Secret> read_pin_file(const std::filesystem::path& file);

// The systemd credential `name`, a file in $CREDENTIALS_DIRECTORY.
Result<Secret> read_pin_credential(std::string_view name);

}  // namespace avseal::pkcs11
