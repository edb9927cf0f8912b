// Functions that rules change, besides what Call does for all. Each is called in place of the real module's function,
// with the real module's slots and object handles.
#pragma once

#include "tests/faults/module/call.hpp"

namespace avseal::faults {

template <Function F>
struct Is {};

CK_RV run(Is<Function::C_Initialize>, Call& call, void* arguments);
CK_RV run(Is<Function::C_Finalize>, Call& call, void* reserved);
CK_RV run(Is<Function::C_GetSlotList>, Call& call, CK_BBOOL present, CK_SLOT_ID* list, CK_ULONG* count);
CK_RV run(Is<Function::C_GetSlotInfo>, Call& call, CK_SLOT_ID slot, CK_SLOT_INFO* info);
CK_RV run(Is<Function::C_GetTokenInfo>, Call& call, CK_SLOT_ID slot, CK_TOKEN_INFO* info);
CK_RV run(Is<Function::C_GetMechanismList>, Call& call, CK_SLOT_ID slot, CK_MECHANISM_TYPE* list, CK_ULONG* count);
CK_RV run(Is<Function::C_GetMechanismInfo>, Call& call, CK_SLOT_ID slot, CK_MECHANISM_TYPE type,
          CK_MECHANISM_INFO* info);

CK_RV run(Is<Function::C_OpenSession>, Call& call, CK_SLOT_ID slot, CK_FLAGS flags, void* application, CK_NOTIFY notify,
          CK_SESSION_HANDLE* session);
CK_RV run(Is<Function::C_CloseSession>, Call& call, CK_SESSION_HANDLE session);
CK_RV run(Is<Function::C_CloseAllSessions>, Call& call, CK_SLOT_ID slot);
CK_RV run(Is<Function::C_GetSessionInfo>, Call& call, CK_SESSION_HANDLE session, CK_SESSION_INFO* info);
CK_RV run(Is<Function::C_Login>, Call& call, CK_SESSION_HANDLE session, CK_USER_TYPE user, unsigned char* pin,
          CK_ULONG size);

CK_RV run(Is<Function::C_FindObjects>, Call& call, CK_SESSION_HANDLE session, CK_OBJECT_HANDLE* objects, CK_ULONG room,
          CK_ULONG* count);
CK_RV run(Is<Function::C_GetAttributeValue>, Call& call, CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object,
          CK_ATTRIBUTE* attributes, CK_ULONG count);
CK_RV run(Is<Function::C_SignInit>, Call& call, CK_SESSION_HANDLE session, CK_MECHANISM* mechanism,
          CK_OBJECT_HANDLE key);
CK_RV run(Is<Function::C_Sign>, Call& call, CK_SESSION_HANDLE session, unsigned char* data, CK_ULONG size,
          unsigned char* signature, CK_ULONG* signature_size);

// Whether a rule takes the mechanism away.
bool is_hidden(const Call& call, CK_MECHANISM_TYPE mechanism);

}  // namespace avseal::faults
