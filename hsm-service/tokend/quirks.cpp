#include "tokend/quirks.hpp"

#include <algorithm>

#include "pkcs11/errors.hpp"

namespace avseal::tokend {

Remedy remedy_of(const Error& error, const Quirks& quirks) {
  const CK_RV rv = pkcs11::ckr_of(error);
  const auto is_in = [rv](const std::vector<CK_RV>& codes) {
    return rv != CKR_OK && std::find(codes.begin(), codes.end(), rv) != codes.end();
  };
  if (is_in(quirks.busy_codes)) return Remedy::wait;
  if (is_in(quirks.session_lost_codes)) return Remedy::new_session;
  if (is_in(quirks.device_lost_codes)) return Remedy::new_process;
  if (error.reason == pkcs11::hsm_session_lost || error.reason == pkcs11::hsm_bad_signature) return Remedy::new_session;
  if (error.reason == pkcs11::hsm_device_lost) return Remedy::new_process;
  if (error.reason == pkcs11::hsm_error) return Remedy::count;
  return Remedy::none;
}

}  // namespace avseal::tokend
