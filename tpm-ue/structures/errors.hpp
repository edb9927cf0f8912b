#pragma once

#include <string_view>

#include "tokens/result.hpp"

namespace avseal::tpm::errors {

Error malformed(std::string_view structure);  // "tpm-structure-malformed"

}  // namespace avseal::tpm::errors
