#include "tokens/json.hpp"

#include <algorithm>
#include <cstdlib>
#include <limits>

#include <boost/json/basic_parser_impl.hpp>

namespace avseal::tokens {
namespace {

Error malformed(std::string detail) {
  return errors::make(Category::bad_request, "json-malformed", std::move(detail));
}

// Builds the value and counts the members that the text has. Objects keep only the last of equally named members, so
// a smaller count in the value means a duplicate.
struct Handler {
  static constexpr std::size_t max_object_size = json::object::max_size();
  static constexpr std::size_t max_array_size = json::array::max_size();
  static constexpr std::size_t max_key_size = json::string::max_size();
  static constexpr std::size_t max_string_size = json::string::max_size();

  json::value_stack stack;
  std::size_t members = 0;

  // NB the stack must be prepared with reset() first.
  bool on_document_begin(boost::system::error_code&) { return true; }
  bool on_document_end(boost::system::error_code&) { return true; }
  bool on_object_begin(boost::system::error_code&) { return true; }
  bool on_object_end(std::size_t n, boost::system::error_code&) {
    members += n;
    stack.push_object(n);
    return true;
  }
  bool on_array_begin(boost::system::error_code&) { return true; }
  bool on_array_end(std::size_t n, boost::system::error_code&) {
    stack.push_array(n);
    return true;
  }
  bool on_key_part(json::string_view s, std::size_t, boost::system::error_code&) {
    stack.push_chars(s);
    return true;
  }
  bool on_key(json::string_view s, std::size_t, boost::system::error_code&) {
    stack.push_key(s);
    return true;
  }
  bool on_string_part(json::string_view s, std::size_t, boost::system::error_code&) {
    stack.push_chars(s);
    return true;
  }
  bool on_string(json::string_view s, std::size_t, boost::system::error_code&) {
    stack.push_string(s);
    return true;
  }
  bool on_number_part(json::string_view, boost::system::error_code&) { return true; }
  bool on_int64(std::int64_t i, json::string_view, boost::system::error_code&) {
    stack.push_int64(i);
    return true;
  }
  bool on_uint64(std::uint64_t u, json::string_view, boost::system::error_code&) {
    stack.push_uint64(u);
    return true;
  }
  bool on_double(double d, json::string_view, boost::system::error_code&) {
    stack.push_double(d);
    return true;
  }
  bool on_bool(bool b, boost::system::error_code&) {
    stack.push_bool(b);
    return true;
  }
  bool on_null(boost::system::error_code&) {
    stack.push_null();
    return true;
  }
  bool on_comment_part(json::string_view, boost::system::error_code&) { return true; }
  bool on_comment(json::string_view, boost::system::error_code&) { return true; }
};

std::size_t count_members(const json::value& value) {
  std::size_t count = 0;
  if (const auto* object = value.if_object()) {
    count = object->size();
    for (const auto& member : *object) count += count_members(member.value());
  } else if (const auto* array = value.if_array()) {
    for (const auto& element : *array) count += count_members(element);
  }
  return count;
}

void write(const json::value& value, std::string& out);

void write(const json::object& object, std::string& out) {
  std::vector<const json::key_value_pair*> members;
  members.reserve(object.size());
  for (const auto& member : object) members.push_back(&member);
  // Byte order of UTF-8 is code point order.
  std::sort(members.begin(), members.end(), [](const auto* a, const auto* b) { return a->key() < b->key(); });
  out.push_back('{');
  for (const auto* member : members) {
    if (out.back() != '{') out.push_back(',');
    out += json::serialize(member->key());
    out.push_back(':');
    write(member->value(), out);
  }
  out.push_back('}');
}

void write(const json::array& array, std::string& out) {
  out.push_back('[');
  for (const auto& element : array) {
    if (out.back() != '[') out.push_back(',');
    write(element, out);
  }
  out.push_back(']');
}

void write(const json::value& value, std::string& out) {
  switch (value.kind()) {
    case json::kind::object:
      return write(value.get_object(), out);
    case json::kind::array:
      return write(value.get_array(), out);
    case json::kind::double_:
      std::abort();
    default:
      out += json::serialize(value);
  }
}

std::string escape_pointer(std::string_view name) {
  std::string out;
  for (const char c : name) {
    if (c == '~') {
      out += "~0";
    } else if (c == '/') {
      out += "~1";
    } else {
      out.push_back(c);
    }
  }
  return out;
}

std::string kind_name(const json::value& value) {
  switch (value.kind()) {
    case json::kind::null:
      return "null";
    case json::kind::bool_:
      return "a boolean";
    case json::kind::int64:
    case json::kind::uint64:
      return "an integer";
    case json::kind::double_:
      return "a fraction";
    case json::kind::string:
      return "a string";
    case json::kind::array:
      return "an array";
    case json::kind::object:
      return "an object";
  }
  return "something else";
}

Error missing(const std::string& pointer) {
  return errors::make(Category::bad_request, "member-missing", "expected a member " + pointer + ", found none",
                      pointer);
}

Error wrong_type(const std::string& pointer, const char* expected, const json::value& found) {
  return errors::make(Category::bad_request, "member-type",
                      "expected " + std::string(expected) + " at " + (pointer.empty() ? "the root" : pointer) +
                          ", found " + kind_name(found),
                      pointer);
}

std::optional<std::int64_t> as_integer(const json::value& value) {
  if (const auto* i = value.if_int64()) return *i;
  return std::nullopt;
}

}  // namespace

Result<json::value> parse_json(std::string_view text, JsonLimits limits) {
  if (text.size() > limits.size) {
    return errors::make(
        Category::too_large, "json-too-large",
        "expected at most " + std::to_string(limits.size) + " bytes of JSON, found " + std::to_string(text.size()));
  }
  json::parse_options options;
  options.max_depth = limits.depth;
  json::basic_parser<Handler> parser(options);
  parser.handler().stack.reset();
  boost::system::error_code error;
  const std::size_t used = parser.write_some(false, text.data(), text.size(), error);
  if (error) return malformed("expected JSON, found at byte " + std::to_string(used) + ": " + error.message());
  if (used != text.size()) return malformed("expected one JSON value, found more after byte " + std::to_string(used));
  const std::size_t members = parser.handler().members;
  json::value value = parser.handler().stack.release();
  if (count_members(value) != members) {
    return errors::make(Category::bad_request, "json-duplicate-member",
                        "expected each member name once in an object, found a name twice");
  }
  return value;
}

std::string canonical_json(const json::value& value) {
  std::string out;
  write(value, out);
  return out;
}

bool has_fraction(const json::value& value) {
  if (value.is_double()) return true;
  if (const auto* object = value.if_object()) {
    return std::any_of(object->begin(), object->end(), [](const auto& member) { return has_fraction(member.value()); });
  }
  if (const auto* array = value.if_array()) {
    return std::any_of(array->begin(), array->end(), [](const auto& element) { return has_fraction(element); });
  }
  return false;
}

Result<ObjectReader> ObjectReader::open(const json::value& value, std::string pointer) {
  const auto* object = value.if_object();
  if (object == nullptr) return wrong_type(pointer, "an object", value);
  return ObjectReader(*object, std::move(pointer));
}

const json::value* ObjectReader::take(std::string_view name) {
  const auto found = object_->find(name);
  if (found == object_->end()) return nullptr;
  taken_.push_back(found->key());
  return &found->value();
}

bool ObjectReader::has(std::string_view name) const {
  return object_->contains(name);
}

std::string ObjectReader::pointer_to(std::string_view name) const {
  return pointer_ + "/" + escape_pointer(name);
}

Result<std::optional<std::string_view>> ObjectReader::optional_string(std::string_view name) {
  const json::value* value = take(name);
  if (value == nullptr) return std::optional<std::string_view>();
  const auto* string = value->if_string();
  if (string == nullptr) return wrong_type(pointer_to(name), "a string", *value);
  return std::optional<std::string_view>(std::string_view(string->data(), string->size()));
}

Result<std::optional<std::int64_t>> ObjectReader::optional_integer(std::string_view name) {
  const json::value* value = take(name);
  if (value == nullptr) return std::optional<std::int64_t>();
  const auto integer = as_integer(*value);
  if (!integer) return wrong_type(pointer_to(name), "an integer of 64 bits", *value);
  return integer;
}

Result<std::optional<ObjectReader>> ObjectReader::optional_object(std::string_view name) {
  const json::value* value = take(name);
  if (value == nullptr) return std::optional<ObjectReader>();
  AVSEAL_TRY(auto reader, open(*value, pointer_to(name)));
  return std::optional<ObjectReader>(std::move(reader));
}

Result<std::optional<std::vector<std::string>>> ObjectReader::optional_strings(std::string_view name) {
  const json::value* value = take(name);
  if (value == nullptr) return std::optional<std::vector<std::string>>();
  const auto* array = value->if_array();
  if (array == nullptr) return wrong_type(pointer_to(name), "an array of strings", *value);
  std::vector<std::string> strings;
  for (const auto& element : *array) {
    const auto* string = element.if_string();
    if (string == nullptr) {
      return wrong_type(pointer_to(name) + "/" + std::to_string(strings.size()), "a string", element);
    }
    strings.emplace_back(string->data(), string->size());
  }
  return std::optional<std::vector<std::string>>(std::move(strings));
}

Result<std::string_view> ObjectReader::string(std::string_view name) {
  AVSEAL_TRY(auto value, optional_string(name));
  if (!value) return missing(pointer_to(name));
  return *value;
}

Result<std::int64_t> ObjectReader::integer(std::string_view name) {
  AVSEAL_TRY(auto value, optional_integer(name));
  if (!value) return missing(pointer_to(name));
  return *value;
}

Result<bool> ObjectReader::boolean(std::string_view name) {
  const json::value* value = take(name);
  if (value == nullptr) return missing(pointer_to(name));
  const bool* boolean = value->if_bool();
  if (boolean == nullptr) return wrong_type(pointer_to(name), "a boolean", *value);
  return Result<bool>(boost::system::in_place_value, *boolean);
}

Result<ObjectReader> ObjectReader::object(std::string_view name) {
  AVSEAL_TRY(auto value, optional_object(name));
  if (!value) return missing(pointer_to(name));
  return std::move(*value);
}

Result<const json::array*> ObjectReader::array(std::string_view name) {
  const json::value* value = take(name);
  if (value == nullptr) return missing(pointer_to(name));
  const auto* array = value->if_array();
  if (array == nullptr) return wrong_type(pointer_to(name), "an array", *value);
  return array;
}

Result<std::vector<std::string>> ObjectReader::strings(std::string_view name) {
  AVSEAL_TRY(auto value, optional_strings(name));
  if (!value) return missing(pointer_to(name));
  return std::move(*value);
}

Result<void> ObjectReader::finish() const {
  for (const auto& member : *object_) {
    if (std::find(taken_.begin(), taken_.end(), std::string_view(member.key())) == taken_.end()) {
      const std::string pointer = pointer_to(member.key());
      return errors::make(Category::bad_request, "member-unknown",
                          "expected no member " + pointer + ", found one; remove it", pointer);
    }
  }
  return {};
}

}  // namespace avseal::tokens
