#pragma once

#include "http/router.hpp"
#include "witness/witness.hpp"

namespace avseal::witness {

// POST /add-checkpoint and GET /{hex SHA-256 of an origin}/checkpoint, both for anybody, as C2SP tlog-witness has them.
void add_routes(http::Router& router, Witness& witness);

}  // namespace avseal::witness
