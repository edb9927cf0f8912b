#include "pkcs11/wrapping.hpp"

#include <algorithm>
#include <array>

#include "pkcs11/errors.hpp"
#include "pkcs11/wrapping_forms.hpp"
#include "tokens/digest.hpp"

namespace avseal::pkcs11 {

namespace {

struct Form {
  WrapForm form;
  CK_MECHANISM_TYPE mechanism;
  CK_FLAGS token_uses;
  CK_ATTRIBUTE_TYPE seals;
  CK_ATTRIBUTE_TYPE opens;
  std::size_t overhead;
  Result<Bytes> (*seal)(Session&, CK_OBJECT_HANDLE, ByteView, ByteView);
  Result<Secret> (*open)(Session&, CK_OBJECT_HANDLE, ByteView, ByteView, CK_RV&);
};

// The better one first.
constexpr std::array<Form, 2> forms = {
    {{WrapForm::aes_gcm, CKM_AES_GCM, CKF_ENCRYPT | CKF_DECRYPT, CKA_ENCRYPT, CKA_DECRYPT, gcm_overhead, seal_gcm,
      open_gcm},
     {WrapForm::aes_kw, CKM_AES_KEY_WRAP, CKF_WRAP | CKF_UNWRAP, CKA_WRAP, CKA_UNWRAP, kw_overhead, seal_kw, open_kw}}};

const Form* find(std::uint8_t first_byte) {
  const auto* const found = std::find_if(forms.begin(), forms.end(), [first_byte](const Form& form) {
    return static_cast<std::uint8_t>(form.form) == first_byte;
  });
  return found == forms.end() ? nullptr : found;
}

bool means_altered(CK_RV rv) {
  return rv == CKR_ENCRYPTED_DATA_INVALID || rv == CKR_ENCRYPTED_DATA_LEN_RANGE || rv == CKR_SIGNATURE_INVALID ||
         rv == CKR_WRAPPED_KEY_INVALID || rv == CKR_WRAPPED_KEY_LEN_RANGE;
}

}  // namespace

Result<WrapForm> offered_wrap_form(const Token& token) {
  for (const Form& form : forms) {
    AVSEAL_TRY(const bool offered, token.offers(form.mechanism, form.token_uses));
    if (offered) return form.form;
  }
  return errors::key_unsuitable(token.label(), "its token has neither CKM_AES_GCM nor CKM_AES_KEY_WRAP");
}

Result<WrapForm> choose_wrap_form(Session& session, CK_OBJECT_HANDLE key) {
  AVSEAL_CHECK(offered_wrap_form(session.token()));
  for (const Form& form : forms) {
    AVSEAL_TRY(const bool offered, session.token().offers(form.mechanism, form.token_uses));
    const bool allowed = session.flag(key, form.seals).value_or(true) && session.flag(key, form.opens).value_or(true);
    if (offered && allowed) return form.form;
  }
  return errors::key_unsuitable(session.token().label(),
                                "the key may neither encrypt and decrypt with CKM_AES_GCM nor wrap and unwrap with "
                                "CKM_AES_KEY_WRAP; make one with `avseal key generate --kind dac-kek`");
}

Result<Bytes> wrap(Session& session, CK_OBJECT_HANDLE key, WrapForm form, ByteView data_key, ByteView aad) {
  if (data_key.size() < min_data_key || data_key.size() > max_data_key) {
    return errors::key_unsuitable("a data key", "expected 16 to 64 bytes");
  }
  return find(static_cast<std::uint8_t>(form))->seal(session, key, data_key, aad);
}

Result<Secret> unwrap(Session& session, CK_OBJECT_HANDLE key, ByteView wrapped, ByteView aad) {
  const Form* form = wrapped.empty() ? nullptr : find(wrapped[0]);
  if (form == nullptr || wrapped.size() <= form->overhead || wrapped.size() > form->overhead + max_data_key) {
    return errors::wrapped_invalid("it has not a form of this version");
  }
  CK_RV rv = CKR_OK;
  AVSEAL_TRY(Secret data_key, form->open(session, key, wrapped, aad, rv));
  // Some modules (SoftHSM) tell an altered one by a code that may mean anything: then the key itself is asked.
  if (rv == CKR_GENERAL_ERROR || rv == CKR_FUNCTION_FAILED) {
    CK_RV control_rv = CKR_OK;
    AVSEAL_TRY(const Bytes control, form->seal(session, key, tokens::random_bytes(32), aad));
    AVSEAL_TRY(const Secret works, form->open(session, key, control, aad, control_rv));
    if (control_rv == CKR_OK) rv = CKR_ENCRYPTED_DATA_INVALID;
  }
  if (means_altered(rv)) return errors::wrapped_invalid("it was altered, or belongs to another key or associated data");
  if (rv != CKR_OK) return errors::call_failed(form->form == WrapForm::aes_gcm ? "C_Decrypt" : "C_UnwrapKey", rv);
  if (data_key.size() != wrapped.size() - form->overhead) return errors::wrapped_invalid("its length is wrong");
  return data_key;
}

}  // namespace avseal::pkcs11
