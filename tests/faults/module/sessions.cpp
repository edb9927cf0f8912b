// Sessions and the login.
#include "tests/faults/module/special.hpp"

namespace avseal::faults {

CK_RV run(Is<Function::C_OpenSession>, Call& call, CK_SLOT_ID slot, CK_FLAGS flags, void* application, CK_NOTIFY notify,
          CK_SESSION_HANDLE* session) {
  const Rule* const refused = call.rule(Effect::read_only_refused);
  if (refused != nullptr && (flags & CKF_RW_SESSION) == 0) return refused->code;
  const Rule* const limit = call.rule(Effect::session_limit);
  if (limit != nullptr && call.state().open_sessions(slot) >= limit->number) return limit->code;
  const CK_RV rv = call.state().real().C_OpenSession(slot, flags, application, notify, session);
  if (rv == CKR_OK) call.state().opened(*session, *call.token());
  return rv;
}

CK_RV run(Is<Function::C_CloseSession>, Call& call, CK_SESSION_HANDLE session) {
  const CK_RV rv = call.state().real().C_CloseSession(session);
  call.state().closed(session);
  return rv;
}

CK_RV run(Is<Function::C_CloseAllSessions>, Call& call, CK_SLOT_ID slot) {
  const CK_RV rv = call.state().real().C_CloseAllSessions(slot);
  if (rv == CKR_OK) call.state().all_closed(slot);
  return rv;
}

CK_RV run(Is<Function::C_GetSessionInfo>, Call& call, CK_SESSION_HANDLE session, CK_SESSION_INFO* info) {
  const CK_RV rv = call.state().real().C_GetSessionInfo(session, info);
  if (rv == CKR_OK && call.token()) info->slotID = call.state().shown(call.rules(), *call.token());
  return rv;
}

CK_RV run(Is<Function::C_Login>, Call& call, CK_SESSION_HANDLE session, CK_USER_TYPE user, unsigned char* pin,
          CK_ULONG size) {
  const Rule* const flags = call.rule(Effect::pin_flags);
  if (flags != nullptr && (flags->flags & CKF_USER_PIN_LOCKED) != 0) return CKR_PIN_LOCKED;
  return call.state().real().C_Login(session, user, pin, size);
}

}  // namespace avseal::faults
