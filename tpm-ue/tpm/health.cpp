#include "tpm/health.hpp"

namespace avseal::tpm {

Result<Health> read_health(Context& context) {
  Health health;
  const auto read = [&context](TPM2_PT which, std::uint32_t& value) -> Result<void> {
    AVSEAL_TRY(const auto found, context.property(which));
    value = found.value_or(0);
    return {};
  };
  TPMA_PERMANENT permanent = 0;
  AVSEAL_CHECK(read(TPM2_PT_PERMANENT, permanent));
  health.in_lockout = (permanent & TPMA_PERMANENT_INLOCKOUT) != 0;
  health.lockout_auth_set = (permanent & TPMA_PERMANENT_LOCKOUTAUTHSET) != 0;
  health.owner_auth_set = (permanent & TPMA_PERMANENT_OWNERAUTHSET) != 0;
  health.endorsement_auth_set = (permanent & TPMA_PERMANENT_ENDORSEMENTAUTHSET) != 0;
  AVSEAL_CHECK(read(TPM2_PT_LOCKOUT_COUNTER, health.lockout_counter));
  AVSEAL_CHECK(read(TPM2_PT_MAX_AUTH_FAIL, health.lockout_limit));
  AVSEAL_CHECK(read(TPM2_PT_LOCKOUT_INTERVAL, health.lockout_interval));
  AVSEAL_CHECK(read(TPM2_PT_HR_TRANSIENT_AVAIL, health.object_slots));
  AVSEAL_CHECK(read(TPM2_PT_HR_LOADED_AVAIL, health.session_slots));
  AVSEAL_CHECK(read(TPM2_PT_HR_PERSISTENT_AVAIL, health.persistent_slots));

  TPMS_TIME_INFO* raw = nullptr;
  AVSEAL_CHECK(context.command("TPM2_ReadClock", [&](ESYS_CONTEXT* esys) {
    return Esys_ReadClock(esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &raw);
  }));
  const EsysPtr<TPMS_TIME_INFO> time(raw);
  health.clock = time->clockInfo.clock;
  health.reset_count = time->clockInfo.resetCount;
  health.restart_count = time->clockInfo.restartCount;
  health.clock_safe = time->clockInfo.safe == TPM2_YES;
  return health;
}

}  // namespace avseal::tpm
