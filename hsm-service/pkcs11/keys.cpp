#include "pkcs11/keys.hpp"

#include <algorithm>
#include <memory>
#include <utility>

#include <openssl/asn1.h>

#include "pkcs11/errors.hpp"

namespace avseal::pkcs11 {

namespace {

Result<CK_OBJECT_HANDLE> find_one(Session& session, const Uri& uri, CK_OBJECT_CLASS object_class) {
  if (!uri.matches(session.token().info())) return errors::token_not_present(uri.text, session.token().label());
  Template wanted;
  wanted.number(CKA_CLASS, object_class);
  if (uri.object) wanted.add(CKA_LABEL, *uri.object);
  if (uri.id) wanted.add(CKA_ID, *uri.id);
  AVSEAL_TRY(const std::vector<CK_OBJECT_HANDLE> found, session.find(wanted));
  if (found.empty()) return errors::key_not_found(uri.text);
  if (found.size() > 1) return errors::key_ambiguous(uri.text, found.size());
  return found.front();
}

Result<CK_OBJECT_HANDLE> require_type(Session& session, CK_OBJECT_HANDLE object, CK_KEY_TYPE type,
                                      std::string_view uri) {
  AVSEAL_TRY(const CK_ULONG found, session.number(object, CKA_KEY_TYPE));
  if (found == type) return object;
  return errors::key_unsuitable(uri, type == CKK_EC ? "it is no EC key" : "it is no AES key");
}

struct FreeString {
  void operator()(ASN1_STRING* string) const noexcept { ASN1_STRING_free(string); }
};
using String = std::unique_ptr<ASN1_STRING, FreeString>;

// The contents of a DER octet or bit string that spans the whole value, else nothing.
std::optional<Bytes> string_contents(ByteView value) {
  const auto size = static_cast<long>(value.size());
  for (const bool octets : {true, false}) {
    const unsigned char* position = value.data();
    const String string(octets ? d2i_ASN1_OCTET_STRING(nullptr, &position, size)
                               : d2i_ASN1_BIT_STRING(nullptr, &position, size));
    if (string && position == value.data() + value.size()) {
      const unsigned char* data = ASN1_STRING_get0_data(string.get());
      return Bytes(data, data + ASN1_STRING_length(string.get()));
    }
  }
  return std::nullopt;
}

// Public key objects that share the private key's id, else its label.
Result<std::vector<CK_OBJECT_HANDLE>> public_objects(Session& session, CK_OBJECT_HANDLE private_key) {
  for (const CK_ATTRIBUTE_TYPE type : {CKA_ID, CKA_LABEL}) {
    const auto value = session.attribute(private_key, type);
    if (!value || value->empty()) continue;
    Template wanted;
    wanted.number(CKA_CLASS, CKO_PUBLIC_KEY).number(CKA_KEY_TYPE, CKK_EC).add(type, *value);
    AVSEAL_TRY(std::vector<CK_OBJECT_HANDLE> found, session.find(wanted));
    if (!found.empty()) return found;
  }
  return std::vector<CK_OBJECT_HANDLE>{};
}

std::string text_of(const Result<Bytes>& value) {
  return value ? std::string(as_text(*value)) : std::string();
}

}  // namespace

Result<CK_OBJECT_HANDLE> find_private_key(Session& session, const Uri& uri) {
  AVSEAL_TRY(const CK_OBJECT_HANDLE object, find_one(session, uri, CKO_PRIVATE_KEY));
  return require_type(session, object, CKK_EC, uri.text);
}

Result<CK_OBJECT_HANDLE> find_secret_key(Session& session, const Uri& uri) {
  AVSEAL_TRY(const CK_OBJECT_HANDLE object, find_one(session, uri, CKO_SECRET_KEY));
  return require_type(session, object, CKK_AES, uri.text);
}

Result<tokens::PublicKey> decode_ec_point(ByteView value) {
  if (const auto contents = string_contents(value)) {
    if (auto key = tokens::PublicKey::from_point(*contents)) return std::move(*key);
  }
  return tokens::PublicKey::from_point(value);
}

Result<tokens::PublicKey> read_public_key(Session& session, CK_OBJECT_HANDLE private_key) {
  const std::string label = text_of(session.attribute(private_key, CKA_LABEL));
  if (const auto own = session.attribute(private_key, CKA_EC_POINT); own && !own->empty()) {
    if (auto key = decode_ec_point(*own)) return std::move(*key);
  }
  AVSEAL_TRY(const std::vector<CK_OBJECT_HANDLE> objects, public_objects(session, private_key));
  if (objects.size() != 1) {
    return errors::key_unsuitable(
        label, "expected one public key object with its id, found " + std::to_string(objects.size()));
  }
  AVSEAL_TRY(const Bytes point, session.attribute(objects.front(), CKA_EC_POINT));
  auto key = decode_ec_point(point);
  if (!key) return errors::key_unsuitable(label, "its CKA_EC_POINT is no point on P-256 or P-384");
  return std::move(*key);
}

}  // namespace avseal::pkcs11
