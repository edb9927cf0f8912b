#include "tlog/export_manifest.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "tlog/errors.hpp"
#include "tlog/lines.hpp"
#include "tlog/note.hpp"
#include "tokens/base64.hpp"

namespace avseal::tlog {

namespace {

constexpr std::size_t hex_digits = 64;
constexpr std::string_view separator = "  ";

Error malformed(std::string detail) {
  return errors::malformed("manifest-malformed", std::move(detail));
}

bool is_path_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
}

bool is_path(std::string_view path) {
  while (true) {
    const auto end = path.find('/');
    const auto part = path.substr(0, end);
    if (part.empty() || part == "." || part == ".." || !std::all_of(part.begin(), part.end(), is_path_character)) {
      return false;
    }
    if (end == std::string_view::npos) return true;
    path.remove_prefix(end + 1);
  }
}

Result<ExportManifest::File> parse_file(std::string_view line) {
  ExportManifest::File file;
  const auto digest = tokens::hex_decode(line.substr(0, hex_digits));
  if (!digest || digest->size() != file.sha256.size() || line.substr(hex_digits, 2) != separator) {
    return malformed("expected the SHA-256 of a file in 64 hex digits, two spaces and its path");
  }
  std::copy(digest->begin(), digest->end(), file.sha256.begin());
  file.path = line.substr(hex_digits + separator.size());
  if (!is_path(file.path)) return malformed("expected a relative path of letters, digits, '.', '_', '-' and '/'");
  return file;
}

// The two values of a line "<name> <first> <second>".
Result<std::pair<std::string_view, std::string_view>> parse_pair(std::optional<std::string_view> line,
                                                                 std::string_view name) {
  if (line && line->starts_with(name) && line->substr(name.size()).starts_with(' ')) {
    const auto values = line->substr(name.size() + 1);
    const auto space = values.find(' ');
    if (space != std::string_view::npos) return std::pair(values.substr(0, space), values.substr(space + 1));
  }
  return malformed(fmt::format("expected a line '{}' with two values", name));
}

}  // namespace

std::string ExportManifest::text() const {
  auto out = fmt::format("{}{}\nrange {} {}\ncheckpoint {} {}\n", checkpoint.origin, export_suffix, from, to,
                         checkpoint.size, hash_text(checkpoint.root));
  for (const auto& file : files) out += fmt::format("{}{}{}\n", tokens::hex_encode(file.sha256), separator, file.path);
  return out;
}

Result<ExportManifest> ExportManifest::parse(std::string_view text) {
  if (text.size() > max_export_manifest) {
    return malformed(fmt::format("expected at most {} bytes, found {}", max_export_manifest, text.size()));
  }
  Lines lines(text);
  const auto first = lines.next().value_or(std::string_view());
  if (!first.ends_with(export_suffix)) return malformed("expected the first line to be <origin>/export");
  ExportManifest out;
  out.checkpoint.origin = first.substr(0, first.size() - export_suffix.size());
  if (!is_key_name(out.checkpoint.origin)) return malformed("expected an origin without spaces and plus signs");
  AVSEAL_TRY(const auto range, parse_pair(lines.next(), "range"));
  AVSEAL_TRY(out.from, parse_size(range.first));
  AVSEAL_TRY(out.to, parse_size(range.second));
  AVSEAL_TRY(const auto head, parse_pair(lines.next(), "checkpoint"));
  AVSEAL_TRY(out.checkpoint.size, parse_size(head.first));
  AVSEAL_TRY(out.checkpoint.root, parse_hash(head.second));
  if (out.from >= out.to || out.to > out.checkpoint.size) {
    return malformed(
        fmt::format("expected a range of leaves below {}, found {} to {}", out.checkpoint.size, out.from, out.to));
  }
  while (const auto line = lines.next()) {
    AVSEAL_TRY(auto file, parse_file(*line));
    if (!out.files.empty() && file.path <= out.files.back().path) return malformed("expected paths that ascend");
    out.files.push_back(std::move(file));
  }
  if (out.files.empty()) return malformed("expected at least one file");
  if (out.text() != text) return malformed("expected the form that avseal writes, each line ended by a line feed");
  return out;
}

}  // namespace avseal::tlog
