#include "audit/leaf.hpp"

#include <fmt/format.h>

#include "tokens/json.hpp"

namespace avseal::audit {

namespace {

bool is_digest(std::string_view text) {
  constexpr std::size_t sha256_in_base64url = 43;
  return text.size() == sha256_in_base64url;
}

bool read_use(Scanner& scanner, LeafUse& use) {
  unsigned members = 0;
  const bool read = scanner.object([&](std::string_view name) {
    ++members;
    if (name == "digest") return scanner.string(use.digest);
    if (name == "key") return scanner.string(use.key);
    if (name == "kid") return scanner.string(use.kid);
    if (name == "outcome") return scanner.string(use.outcome);
    if (name == "sequence") return scanner.unsigned_integer(use.sequence);
    if (name == "worker") return scanner.string(use.worker);
    return scanner.fail("a member that uses of keys do not have");
  });
  if (!read) return false;
  if (members != 6 || use.key.empty() || use.worker.empty() || !is_digest(use.digest) || !is_digest(use.kid)) {
    return scanner.fail("a use of a key without key, kid, worker or digest");
  }
  if (use.outcome != "signed" && use.outcome != "discarded") return scanner.fail("a use neither signed nor discarded");
  return use.sequence != 0 || scanner.fail("a use with number 0: they count from 1");
}

bool read_uses(Scanner& scanner, std::vector<LeafUse>& uses) {
  return scanner.array([&] { return read_use(scanner, uses.emplace_back()); });
}

bool read_object(Scanner& scanner, std::string_view& raw) {
  return scanner.value(raw) && (raw.front() == '{' || scanner.fail("no object"));
}

bool read_member(Scanner& scanner, std::string_view name, Leaf& leaf) {
  switch (name.front()) {
    case 'a':
      if (name == "actor") return scanner.string(leaf.actor);
      break;
    case 'c':
      if (name == "client") return scanner.string(leaf.client);
      break;
    case 'd':
      if (name == "details") return read_object(scanner, leaf.details);
      break;
    case 'e':
      if (name == "event") return scanner.string(leaf.event);
      break;
    case 'i':
      if (name == "id") return scanner.string(leaf.id);
      if (name == "index") return scanner.unsigned_integer(leaf.index);
      break;
    case 'k':
      if (name == "keys") return read_uses(scanner, leaf.uses);
      if (name == "keys_omitted") return scanner.unsigned_integer(leaf.uses_omitted);
      break;
    case 'o':
      if (name == "outcome") return scanner.string(leaf.outcome);
      break;
    case 'r':
      if (name == "reason") return scanner.string(leaf.reason);
      if (name == "request") return scanner.string(leaf.request);
      break;
    case 's':
      if (name == "subjects") return read_object(scanner, leaf.subjects);
      break;
    case 't':
      if (name == "time") return scanner.integer(leaf.time);
      break;
    default:
      break;
  }
  return scanner.fail("a member that leaves do not have");
}

bool read(Scanner& scanner, Leaf& leaf) {
  bool has_index = false;
  bool has_time = false;
  const bool whole = scanner.object([&](std::string_view name) {
    if (name.empty()) return scanner.fail("a member without a name");
    has_index = has_index || name == "index";
    has_time = has_time || name == "time";
    return read_member(scanner, name, leaf);
  });
  if (!whole || !scanner.end()) return false;
  if (leaf.event.empty() || !has_index || !has_time) return scanner.fail("no event, index or time");
  const bool known = leaf.outcome == "released" || leaf.outcome == "refused" || leaf.outcome == "discarded";
  return known || scanner.fail("an outcome that is not released, refused or discarded");
}

}  // namespace

boost::json::object Leaf::parsed_details() const {
  if (details.empty()) return {};
  auto value = tokens::parse_json(details);
  return value ? value->as_object() : boost::json::object();
}

Result<void> read_leaf(ByteView bytes, Leaf& leaf) {
  auto uses = std::move(leaf.uses);
  uses.clear();
  leaf = Leaf{};
  leaf.uses = std::move(uses);
  if (bytes.size() > max_leaf_size) {
    return errors::make(Category::too_large, "leaf-malformed",
                        fmt::format("{} bytes; a leaf has at most {}", bytes.size(), max_leaf_size));
  }
  Scanner scanner(as_text(bytes));
  if (read(scanner, leaf)) return {};
  return errors::make(Category::bad_request, "leaf-malformed",
                      fmt::format("at byte {}: {}", scanner.offset(), scanner.why()));
}

}  // namespace avseal::audit
