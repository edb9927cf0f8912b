#pragma once

#include <cstdint>

#include "tokens/result.hpp"

namespace avseal::http::errors {

using avseal::errors::make;

Error body_too_large(std::uint64_t limit);
Error body_unexpected();
Error body_late();
Error body_truncated();
Error too_many_headers(std::size_t limit);
Error header_list_too_large(std::size_t limit);
Error header_malformed();
Error message_malformed(std::string detail);

}  // namespace avseal::http::errors
