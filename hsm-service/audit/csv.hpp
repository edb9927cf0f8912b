#pragma once

#include "audit/leaf.hpp"

namespace avseal::audit {

// RFC 4180. Texts that a spreadsheet would take for a formula begin with an apostrophe.
inline constexpr std::string_view csv_header = "index,time,event,outcome,reason,client,actor,request,keys,details\r\n";
void append_csv_row(std::string& out, const Leaf& leaf);

// "2026-11-25T23:00:00.000Z"
std::string utc_text(std::int64_t unix_ms);

}  // namespace avseal::audit
