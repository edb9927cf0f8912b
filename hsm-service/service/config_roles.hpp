#pragma once

#include "service/config.hpp"
#include "service/toml_reader.hpp"

namespace avseal::service {

// The tables [signing], [authorization], [dac] and [enrollment]; a role is on when its table is there.
Result<void> read_roles(TomlReader& root, Config& out);

}  // namespace avseal::service
