#pragma once

#include <string_view>

namespace avseal::tlog {

// Well-formed UTF-8 (Unicode table 3-7): no overlong forms, no surrogates, nothing beyond U+10FFFF.
bool is_utf8(std::string_view text);

}  // namespace avseal::tlog
