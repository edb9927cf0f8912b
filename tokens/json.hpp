#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <boost/json.hpp>

#include "tokens/result.hpp"

namespace avseal::tokens {

namespace json = boost::json;

struct JsonLimits {
  std::size_t size = 64 * 1024;  // bytes
  std::size_t depth = 16;
};

// Strict RFC 8259: one value and nothing after it, valid UTF-8, no duplicate member names, bounded size and depth.
// Reasons: "json-malformed", "json-duplicate-member", "json-too-large".
Result<json::value> parse_json(std::string_view text, JsonLimits limits = {});

// RFC 8225 section 9: no whitespace, members sorted by Unicode code point, integers only (a double is a programming
// error and aborts).
std::string canonical_json(const json::value& value);

// Is there a number that is not an integer anywhere in value? Ask before canonical_json() of what others sent.
bool has_fraction(const json::value& value);

// Reads one JSON object whose members are all known. Errors carry the member's JSON pointer in Error::param, with
// reasons "member-missing", "member-type", "member-unknown".
class ObjectReader {
 public:
  // value must be an object; pointer is its place in the document ("" for the root). Keeps a reference to value.
  static Result<ObjectReader> open(const json::value& value, std::string pointer = {});

  Result<std::string_view> string(std::string_view name);
  Result<std::int64_t> integer(std::string_view name);
  Result<bool> boolean(std::string_view name);
  Result<ObjectReader> object(std::string_view name);
  Result<const json::array*> array(std::string_view name);
  Result<std::vector<std::string>> strings(std::string_view name);  // an array of strings
  Result<std::optional<std::string_view>> optional_string(std::string_view name);
  Result<std::optional<std::int64_t>> optional_integer(std::string_view name);
  Result<std::optional<ObjectReader>> optional_object(std::string_view name);
  Result<std::optional<std::vector<std::string>>> optional_strings(std::string_view name);
  [[nodiscard]] bool has(std::string_view name) const;
  [[nodiscard]] std::string pointer_to(std::string_view name) const;
  [[nodiscard]] const json::object& raw() const { return *object_; }

  Result<void> finish() const;  // refuses members that were never asked for

 private:
  ObjectReader(const json::object& object, std::string pointer) : object_(&object), pointer_(std::move(pointer)) {}
  const json::value* take(std::string_view name);

  const json::object* object_;
  std::string pointer_;
  std::vector<std::string_view> taken_;
};

}  // namespace avseal::tokens
