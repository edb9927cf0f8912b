// Every failure of the keyring by name; reasons are metric labels and ledger reasons.
#pragma once

#include <filesystem>

#include "tokens/result.hpp"

namespace avseal::keyring::errors {

// Configuration: the start stops with these.
Error key_kind_unknown(std::string_view text);
Error key_configuration(std::string detail);  // "key-configuration"
Error key_not_configured(std::string_view kind);
Error certificate_unreadable(const std::filesystem::path& file, std::string_view why);
Error certificate_malformed(const std::filesystem::path& file, const Error& cause);
Error certificate_expired(std::string_view key, const std::filesystem::path& file, std::string_view when);
Error certificate_not_yet_valid(std::string_view key, const std::filesystem::path& file, std::string_view when);
Error certificate_unsuitable(std::string_view key, const std::filesystem::path& file, std::string_view why);
Error certificate_chain_order(std::string_view key, const std::filesystem::path& file, std::size_t position,
                              std::string_view wanted, std::string_view found);

// A request.
Error unavailable(std::string_view key, std::string_view why);           // "hsm-unavailable"
Error busy(std::string_view key, std::chrono::seconds retry_after);      // "hsm-busy", with Retry-After
Error too_late(std::string_view key, std::chrono::seconds retry_after);  // "hsm-busy", with Retry-After
Error refused(std::string_view key, std::string_view why);               // "hsm-refused"
Error bad_signature(std::string_view key);                               // "hsm-bad-signature", with Retry-After
Error deadline(std::string_view key);                                    // "deadline", with Retry-After
Error wrapped_key_malformed(std::string_view why);

// A token.
Error token_unknown(std::string_view token);                             // "token-unknown"
Error token_last_replica(std::string_view token, std::string_view key);  // "token-last-replica"

// A worker.
Error worker_unusable(std::string why);     // "worker-unusable"
Error workers_start(std::string_view why);  // "workers-start"

}  // namespace avseal::keyring::errors
