#include <fmt/format.h>

#include "cli/key_commands.hpp"
#include "pkcs11/keys.hpp"
#include "tokens/base64.hpp"

namespace avseal::cli {

using pkcs11::KeyDescription;
using pkcs11::Session;

Result<void> generate_key(const KeyOptions& options) {
  pkcs11::NewKey key;
  AVSEAL_TRY(key.kind, pkcs11::parse_key_kind(options.kind));
  AVSEAL_TRY(key.id, tokens::hex_decode(options.id));
  key.label = options.label;
  key.algorithm = options.curve == "P-384" ? tokens::Algorithm::es384 : tokens::Algorithm::es256;
  AVSEAL_TRY(Session session, options.hsm.login(Session::Access::read_write));
  boost::json::object object = object_of(session.token(), options.label);
  object["kind"] = options.kind;
  return perform(options.act, "key.generate", std::move(object), [&]() -> Result<boost::json::object> {
    AVSEAL_TRY(const KeyDescription made, pkcs11::generate_key(session, key));
    const auto id = tokens::hex_encode(made.id);
    fmt::print("made {} key \"{}\" ({}), id {}\n", options.kind, made.label, made.type, id);
    boost::json::object result{{"id", id}, {"type", made.type}};
    if (made.public_key) result["thumbprint"] = made.public_key->thumbprint();
    return result;
  });
}

}  // namespace avseal::cli
