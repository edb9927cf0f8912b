// The segment files of a directory: "<index of the first leaf, 20 digits>.leaves".
#pragma once

#include "ledger/segment.hpp"

namespace avseal::ledger {

std::string segment_name(std::uint64_t first_index);

// Where the segments of a directory start, in order.
Result<std::vector<std::uint64_t>> segment_starts(const std::filesystem::path& directory);

// The header of the last segment; empty if there is none.
Result<std::optional<SegmentHeader>> last_segment_header(const std::filesystem::path& directory);

// Segments in order of their leaves from the one that has the last of the `published` leaves, checked: names and first
// indices follow on each other, all but the last are sealed. The last segment's end is given with its bytes, before
// they are unmapped. Without an origin, any will do.
using LastSegment = std::function<Result<void>(const std::string& name, const SegmentEnd& end, ByteView bytes)>;
Result<void> read_segments(const std::filesystem::path& directory, const std::optional<std::string>& origin,
                           std::uint64_t published, const BatchSink& sink, const LastSegment& last);

}  // namespace avseal::ledger
