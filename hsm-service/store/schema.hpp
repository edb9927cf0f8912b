#pragma once

#include "store/sqlite.hpp"

namespace avseal::store {

inline constexpr std::int64_t schema_version = 7;

// Brings the file to schema_version, in one transaction per step; two processes may do it at once. Errors:
// "store-unavailable" for a foreign file or a newer schema, with what to do.
Result<void> migrate(Connection& connection);

}  // namespace avseal::store
