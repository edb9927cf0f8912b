#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <spdlog/sinks/sink.h>

namespace avseal::service {

// Writes to the systemd journal: a log line as MESSAGE, and each of its members as a field of its own, so that
// `journalctl AVSEAL_REASON=client-role` finds them.
std::shared_ptr<spdlog::sinks::sink> journal_sink();

// The members of a logfmt line: `event=refused detail="a b"` gives "AVSEAL_EVENT=refused" and "AVSEAL_DETAIL=a b".
std::vector<std::string> journal_fields(std::string_view line);

}  // namespace avseal::service
