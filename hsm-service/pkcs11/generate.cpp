// Key generation. The templates are the key policy; pkcs11-config/README.md explains them.
#include <algorithm>

#include "pkcs11/errors.hpp"
#include "pkcs11/keys.hpp"
#include "tokens/digest.hpp"

namespace avseal::pkcs11 {

namespace {

// DER OBJECT IDENTIFIERs prime256v1 and secp384r1.
constexpr std::array<std::uint8_t, 10> p256_oid = {0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07};
constexpr std::array<std::uint8_t, 7> p384_oid = {0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22};

Result<void> require_new(Session& session, const NewKey& key) {
  Template by_label;
  by_label.add(CKA_LABEL, key.label);
  AVSEAL_TRY(const std::vector<CK_OBJECT_HANDLE> labelled, session.find(by_label, 1));
  if (!labelled.empty()) return errors::key_exists(key.label);
  Template by_id;
  by_id.add(CKA_ID, key.id);
  AVSEAL_TRY(const std::vector<CK_OBJECT_HANDLE> identified, session.find(by_id, 1));
  if (!identified.empty()) return errors::key_exists("with the same id as " + key.label);
  return {};
}

void name(Template& key_template, const NewKey& key, bool modifiable) {
  key_template.add(CKA_LABEL, key.label).add(CKA_ID, key.id).flag(CKA_TOKEN, true);
  if (!modifiable) key_template.flag(CKA_MODIFIABLE, false);
}

// What every private and secret key is. Uses that are not named are refused explicitly: modules' defaults differ.
void protect(Template& key_template) {
  key_template.flag(CKA_PRIVATE, true).flag(CKA_SENSITIVE, true).flag(CKA_EXTRACTABLE, false);
}

CK_RV generate_pair(Session& session, const NewKey& key, bool modifiable, CK_OBJECT_HANDLE& private_key) {
  Template public_template;
  name(public_template, key, modifiable);
  const ByteView curve = key.algorithm == tokens::Algorithm::es256 ? ByteView(p256_oid) : ByteView(p384_oid);
  public_template.add(CKA_EC_PARAMS, curve).flag(CKA_PRIVATE, false).flag(CKA_VERIFY, true);
  public_template.flag(CKA_ENCRYPT, false).flag(CKA_WRAP, false).flag(CKA_VERIFY_RECOVER, false);
  Template private_template;
  name(private_template, key, modifiable);
  protect(private_template);
  private_template.flag(CKA_SIGN, true).flag(CKA_DECRYPT, false).flag(CKA_UNWRAP, false).flag(CKA_DERIVE, false);
  private_template.flag(CKA_SIGN_RECOVER, false);

  CK_MECHANISM mechanism{CKM_EC_KEY_PAIR_GEN, nullptr, 0};
  CK_OBJECT_HANDLE public_key = CK_INVALID_HANDLE;
  return session.api().C_GenerateKeyPair(session.handle(), &mechanism, public_template.attributes().data(),
                                         public_template.attributes().size(), private_template.attributes().data(),
                                         private_template.attributes().size(), &public_key, &private_key);
}

CK_RV generate_secret(Session& session, const NewKey& key, bool modifiable, CK_OBJECT_HANDLE& secret_key) {
  Template key_template;
  name(key_template, key, modifiable);
  protect(key_template);
  const bool encrypts = key.wrap_form == WrapForm::aes_gcm;
  key_template.number(CKA_VALUE_LEN, 32).flag(CKA_ENCRYPT, encrypts).flag(CKA_DECRYPT, encrypts);
  key_template.flag(CKA_WRAP, !encrypts).flag(CKA_UNWRAP, !encrypts);
  key_template.flag(CKA_SIGN, false).flag(CKA_VERIFY, false).flag(CKA_DERIVE, false);
  CK_MECHANISM mechanism{CKM_AES_KEY_GEN, nullptr, 0};
  return session.api().C_GenerateKey(session.handle(), &mechanism, key_template.attributes().data(),
                                     key_template.attributes().size(), &secret_key);
}

bool refuses_attribute(CK_RV rv) {
  return rv == CKR_ATTRIBUTE_TYPE_INVALID || rv == CKR_ATTRIBUTE_VALUE_INVALID || rv == CKR_TEMPLATE_INCONSISTENT ||
         rv == CKR_ATTRIBUTE_READ_ONLY;
}

}  // namespace

Result<KeyDescription> generate_key(Session& session, const NewKey& wanted) {
  if (wanted.label.empty() || wanted.label.size() > 64 || wanted.id.size() > 64) {
    return errors::key_unsuitable(wanted.label, "a label has 1 to 64 bytes, an id at most 64");
  }
  NewKey key = wanted;
  if (key.id.empty()) key.id = tokens::random_bytes(16);
  if (!signs(key.kind) && !key.wrap_form) {
    AVSEAL_TRY(key.wrap_form, offered_wrap_form(session.token()));
  }
  AVSEAL_CHECK(require_new(session, key));

  const auto generate = signs(key.kind) ? generate_pair : generate_secret;
  CK_OBJECT_HANDLE handle = CK_INVALID_HANDLE;
  CK_RV rv = generate(session, key, false, handle);
  if (refuses_attribute(rv)) rv = generate(session, key, true, handle);
  if (rv != CKR_OK) return errors::call_failed(signs(key.kind) ? "C_GenerateKeyPair" : "C_GenerateKey", rv);

  AVSEAL_TRY(std::vector<KeyDescription> keys, list_keys(session));
  const auto made = std::find_if(keys.begin(), keys.end(), [&key](const KeyDescription& k) { return k.id == key.id; });
  if (made == keys.end()) return errors::key_not_found(key.label);
  if (!made->sensitive.value_or(false) || made->extractable.value_or(true)) {
    return errors::key_unsuitable(key.label, "the HSM made it, but not sensitive and non-extractable; delete it");
  }
  return std::move(*made);
}

}  // namespace avseal::pkcs11
