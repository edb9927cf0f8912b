#include "attestation/manifest.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <set>

#include <fmt/format.h>

#include "attestation/documents.hpp"
#include "tokens/base64.hpp"
#include "tokens/json.hpp"

namespace avseal::attestation {

namespace {

namespace json = tokens::json;
using tokens::ObjectReader;

constexpr std::size_t max_text = 64;
constexpr std::string_view columns = "ek_sha256,serial,model,batch";

Error malformed(std::string detail, std::string pointer = {}) {
  return errors::make(Category::invalid, "manifest-malformed", std::move(detail), std::move(pointer));
}

// Printable ASCII that needs no quoting in CSV.
bool is_label(std::string_view text) {
  return !text.empty() && text.size() <= max_text && text.front() != ' ' && text.back() != ' ' &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c < 0x7F && c != ',' && c != '"'; });
}

std::optional<std::string> device_id_of(std::string_view hex) {
  const auto bytes = tokens::hex_decode(hex);
  if (!bytes || bytes->size() != 32) return std::nullopt;
  return tokens::hex_encode(*bytes);
}

// The manifest being read; each EK is in it once.
class Builder {
 public:
  Result<void> set_maker(std::string_view maker) {
    if (!is_label(maker)) return malformed("expected a maker of 1 to 64 printable ASCII characters");
    manifest_.maker = maker;
    return {};
  }
  Result<void> set_version(std::int64_t version) {
    if (version < 1) return malformed("expected a version of 1 or more");
    manifest_.version = version;
    return {};
  }
  Result<void> add(std::string_view ek, std::string_view serial, std::string_view model, std::string_view batch) {
    const auto device = device_id_of(ek);
    if (!device) return malformed("expected ek_sha256 of 64 hex digits");
    if (!is_label(serial) || !is_label(model) || !is_label(batch)) {
      return malformed(
          "expected serial, model and batch of 1 to 64 printable ASCII characters without comma and quote");
    }
    if (!seen_.insert(*device).second) return malformed("the EK is there twice");
    if (manifest_.devices.size() == manifest_max_entries) return malformed("expected at most 100000 devices");
    manifest_.devices.push_back({*device, std::string(serial), std::string(model), std::string(batch)});
    return {};
  }
  Result<Manifest> finish() {
    if (manifest_.devices.empty()) return malformed("expected at least one device");
    return std::move(manifest_);
  }

 private:
  Manifest manifest_;
  std::set<std::string, std::less<>> seen_;
};

Error at_line(Error error, std::size_t line) {
  error.detail = fmt::format("line {}: {}", line, error.detail);
  return error;
}

// Lines, one after the other; a carriage return before the line feed is taken off.
class Lines {
 public:
  explicit Lines(std::string_view text) : rest_(text) {}
  std::optional<std::string_view> next() {
    if (rest_.empty()) return std::nullopt;
    ++number_;
    const std::size_t end = rest_.find('\n');
    std::string_view line = rest_.substr(0, end);
    rest_ = end == std::string_view::npos ? std::string_view() : rest_.substr(end + 1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    return line;
  }
  std::string_view after(std::string_view prefix) {
    const auto line = next();
    return line && line->starts_with(prefix) ? line->substr(prefix.size()) : std::string_view();
  }
  [[nodiscard]] std::size_t number() const { return number_; }

 private:
  std::string_view rest_;
  std::size_t number_ = 0;
};

Result<void> add_line(Builder& builder, std::string_view line) {
  std::array<std::string_view, 4> fields;
  for (std::size_t i = 0; i < fields.size(); ++i) {
    const std::size_t comma = line.find(',');
    if ((comma == std::string_view::npos) != (i + 1 == fields.size())) {
      return malformed(fmt::format("expected the four fields {}", columns));
    }
    fields[i] = line.substr(0, comma);
    if (comma != std::string_view::npos) line.remove_prefix(comma + 1);
  }
  return builder.add(fields[0], fields[1], fields[2], fields[3]);
}

Result<Manifest> parse_csv(std::string_view document) {
  Builder builder;
  Lines lines(document);
  if (const auto set = builder.set_maker(lines.after("# maker: ")); !set) return at_line(set.error(), 1);
  const std::string_view version_text = lines.after("# version: ");
  std::int64_t version = 0;
  const auto [end, failure] = std::from_chars(version_text.data(), version_text.data() + version_text.size(), version);
  if (failure != std::errc() || end != version_text.data() + version_text.size()) version = 0;
  if (const auto set = builder.set_version(version); !set) return at_line(set.error(), 2);
  if (lines.next() != columns) return at_line(malformed(fmt::format("expected the header {}", columns)), 3);
  while (const auto line = lines.next()) {
    if (const auto added = add_line(builder, *line); !added) return at_line(added.error(), lines.number());
  }
  return builder.finish();
}

Result<void> add_object(Builder& builder, const json::value& value, const std::string& pointer) {
  AVSEAL_TRY(auto reader, ObjectReader::open(value, pointer));
  AVSEAL_TRY(const auto ek, reader.string("ek_sha256"));
  AVSEAL_TRY(const auto serial, reader.string("serial"));
  AVSEAL_TRY(const auto model, reader.string("model"));
  AVSEAL_TRY(const auto batch, reader.string("batch"));
  AVSEAL_CHECK(reader.finish());
  auto added = builder.add(ek, serial, model, batch);
  if (!added) {
    Error error = added.error();
    error.param = pointer;
    return error;
  }
  return {};
}

Result<Manifest> parse_json_form(std::string_view document) {
  AVSEAL_TRY(const json::value value, tokens::parse_json(document, {.size = document_max_size}));
  AVSEAL_TRY(auto root, ObjectReader::open(value));
  AVSEAL_TRY(const std::string_view kind, root.string("kind"));
  if (kind != "device-manifest") return malformed("expected \"device-manifest\"", "/kind");
  Builder builder;
  AVSEAL_TRY(const std::string_view maker, root.string("maker"));
  AVSEAL_CHECK(builder.set_maker(maker));
  AVSEAL_TRY(const std::int64_t version, root.integer("version"));
  AVSEAL_CHECK(builder.set_version(version));
  AVSEAL_TRY(const json::array* devices, root.array("devices"));
  AVSEAL_CHECK(root.finish());
  for (std::size_t i = 0; i < devices->size(); ++i) {
    AVSEAL_CHECK(add_object(builder, (*devices)[i], "/devices/" + std::to_string(i)));
  }
  return builder.finish();
}

}  // namespace

Result<Manifest> Manifest::parse(std::string_view document) {
  if (document.size() > document_max_size) return malformed("expected at most 16 MiB, found more");
  return document.starts_with('{') ? parse_json_form(document) : parse_csv(document);
}

}  // namespace avseal::attestation
