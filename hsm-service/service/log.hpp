#pragma once

#include <string>
#include <string_view>

#include "tokens/result.hpp"

namespace avseal::service {

// Structured logs: one logfmt line per event, to stderr or, with a field for each member, to the journal. target
// "stderr" | "journal"; level as in the configuration.
Result<void> start_log(const std::string& target, const std::string& level);

void set_log_level(const std::string& level);

// A value of a log line: quoted, quotes and control characters replaced, so that no input can forge a line or a field.
std::string log_value(std::string_view text);

}  // namespace avseal::service
