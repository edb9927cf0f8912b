#include "pkcs11/errors.hpp"
#include "pkcs11/keys.hpp"

namespace avseal::pkcs11 {

namespace {

Result<void> destroy(Session& session, CK_OBJECT_HANDLE object) {
  const CK_RV rv = session.api().C_DestroyObject(session.handle(), object);
  if (rv != CKR_OK) return errors::call_failed("C_DestroyObject", rv);
  return {};
}

}  // namespace

// The key itself goes first: what is left of an interrupted destruction is public.
Result<void> destroy_key(Session& session, const KeyDescription& key) {
  if (key.id.empty()) {
    return errors::key_unsuitable(key.label, "it has no CKA_ID to tell its objects by; remove it with the HSM's tools");
  }
  AVSEAL_CHECK(destroy(session, key.handle));
  Template rest;
  rest.add(CKA_ID, key.id);
  AVSEAL_TRY(const std::vector<CK_OBJECT_HANDLE> objects, session.find(rest));
  for (const CK_OBJECT_HANDLE object : objects) {
    AVSEAL_CHECK(destroy(session, object));
  }
  return {};
}

}  // namespace avseal::pkcs11
