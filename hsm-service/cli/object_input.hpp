// What `avseal verify` and `avseal inspect` read: texts, certificates and keys in files.
#pragma once

#include <string>

#include "tokens/certificate.hpp"

namespace avseal::cli {

inline constexpr std::size_t max_input_size = 1024 * 1024;

// At most that many bytes. Reason "file-unreadable".
Result<std::string> read_file(const std::string& path, std::size_t max_size = max_input_size);
Result<std::string> read_stdin();

// Without white space at both ends.
std::string trimmed(std::string_view text);

// A public key out of a PEM public key, a PEM certificate, or a JWK.
Result<tokens::PublicKey> read_public_key(const std::string& path);

// "2026-11-24T00:00:00Z"
std::string time_text(UnixSeconds t);

}  // namespace avseal::cli
