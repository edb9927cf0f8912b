#pragma once

#include <optional>

#include "tlog/note.hpp"

namespace avseal::tlog {

// The key under the name of a log, if it is the key of that log or of another of its periods: each year of a log has an
// origin of its own ("<log>/2026"), and policies name a key once.
std::optional<VerifierKey> key_for(const VerifierKey& key, const std::string& origin);

}  // namespace avseal::tlog
