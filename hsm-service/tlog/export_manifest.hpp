// What an export of a log says of itself. The text is signed as a note with the log's key:
//
//   <origin of the log>/export
//   range <from> <to>                  the leaves from <= index < to
//   checkpoint <size> <base64 root>    of the log that they are leaves of
//   <64 hex digits>  <path>            SHA-256 of each file, as sha256sum writes it; paths ascend
//
// Such a text is never a checkpoint, for its second line is no tree size.
#pragma once

#include <string>
#include <vector>

#include "tlog/checkpoint.hpp"

namespace avseal::tlog {

inline constexpr std::string_view export_suffix = "/export";
inline constexpr std::size_t max_export_manifest = 64 * 1024;  // bytes; more files are listed in a file of their own

struct ExportManifest {
  struct File {
    Hash sha256{};
    std::string path;  // relative, of [A-Za-z0-9._-] and '/', without empty, "." and ".." parts
    friend bool operator==(const File&, const File&) = default;
  };
  Checkpoint checkpoint;
  std::uint64_t from = 0;
  std::uint64_t to = 0;
  std::vector<File> files;

  [[nodiscard]] std::string text() const;
  // Only what text() gives, of 0 <= from < to <= size and at least one file. Reasons "manifest-malformed",
  // "checkpoint-malformed".
  static Result<ExportManifest> parse(std::string_view text);
  friend bool operator==(const ExportManifest&, const ExportManifest&) = default;
};

}  // namespace avseal::tlog
