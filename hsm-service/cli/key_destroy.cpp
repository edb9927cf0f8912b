#include <algorithm>

#include <fmt/format.h>

#include "cli/key_commands.hpp"
#include "pkcs11/errors.hpp"
#include "pkcs11/keys.hpp"
#include "tokens/base64.hpp"
#include "tokens/json.hpp"

namespace avseal::cli {
namespace {

using pkcs11::KeyDescription;
using pkcs11::Session;

Result<KeyDescription> find_key(Session& session, const std::string& label) {
  AVSEAL_TRY(std::vector<KeyDescription> keys, pkcs11::list_keys(session));
  std::erase_if(keys, [&](const KeyDescription& key) { return key.label != label; });
  if (keys.empty()) return pkcs11::errors::key_not_found(label);
  if (keys.size() > 1) return pkcs11::errors::key_ambiguous(label, keys.size());
  return std::move(keys.front());
}

std::string text_of(const boost::json::object& object, std::string_view name) {
  const auto* member = object.if_contains(name);
  return member != nullptr && member->is_string() ? std::string(member->get_string()) : std::string();
}

// Whether the node's entry is this key: by its public key, or by name for one that has none.
bool is_key(const boost::json::object& entry, const KeyDescription& key) {
  if (key.public_key) return text_of(entry, "kid") == key.public_key->thumbprint();
  return text_of(entry, "kind") == "dac-kek" && text_of(entry, "name") == key.label;
}

// A key that the node still signs, verifies or unwraps with is not destroyed.
Result<void> check_unused(const OperatorClient& node, const KeyDescription& key) {
  if (node.url.empty()) return {};  // no node runs: it would hold the ledger
  AVSEAL_TRY(const auto answer, node.call(http::Method::get, "/operations/v1/keys"));
  AVSEAL_TRY(const auto document, tokens::parse_json(answer.body));
  const auto* list = document.is_object() ? document.get_object().if_contains("keys") : nullptr;
  if (list == nullptr || !list->is_array()) {
    return errors::make(Category::internal, "answer-unusable", "the node did not say which keys it uses");
  }
  for (const auto& entry : list->get_array()) {
    if (!entry.is_object() || !is_key(entry.get_object(), key)) continue;
    const auto state = text_of(entry.get_object(), "state");
    if (state == "retired") continue;
    return errors::make(Category::conflict, "key-in-use",
                        fmt::format("key '{}' of {} is {}: activate another one and retire it first",
                                    text_of(entry.get_object(), "name"), node.url, state));
  }
  return {};
}

Result<void> confirm(const Session& session, const KeyDescription& key) {
  AVSEAL_TRY(const std::string typed,
             prompt_line(fmt::format("This destroys {} key \"{}\" on token \"{}\" for ever. Type its name to go on",
                                     key.type, key.label, session.token().label())));
  if (typed == key.label) return {};
  return errors::make(Category::invalid, "name-not-typed",
                      fmt::format("expected \"{}\" to be typed; nothing was destroyed", key.label));
}

}  // namespace

Result<void> destroy_key(const KeyOptions& options) {
  AVSEAL_TRY(Session session, options.hsm.login(Session::Access::read_write));
  AVSEAL_TRY(const KeyDescription key, find_key(session, options.label));
  AVSEAL_CHECK(check_unused(options.act.node, key));
  AVSEAL_CHECK(confirm(session, key));
  boost::json::object object = object_of(session.token(), options.label);
  object["id"] = tokens::hex_encode(key.id);
  if (key.public_key) object["thumbprint"] = key.public_key->thumbprint();
  return perform(options.act, "key.destroy", std::move(object), [&]() -> Result<boost::json::object> {
    AVSEAL_CHECK(pkcs11::destroy_key(session, key));
    fmt::print("destroyed key \"{}\"\n", key.label);
    return boost::json::object{};
  });
}

}  // namespace avseal::cli
