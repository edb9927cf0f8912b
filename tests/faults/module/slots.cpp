// Slots, tokens and their mechanisms.
#include <algorithm>

#include "tests/faults/module/special.hpp"

namespace avseal::faults {

namespace {

// PKCS#11's way to give a list: its size for no buffer, an error for one too small.
template <class Item>
CK_RV give(const std::vector<Item>& items, Item* list, CK_ULONG* count) {
  if (count == nullptr) return CKR_ARGUMENTS_BAD;
  const CK_ULONG room = *count;
  *count = items.size();
  if (list == nullptr) return CKR_OK;
  if (room < items.size()) return CKR_BUFFER_TOO_SMALL;
  std::copy(items.begin(), items.end(), list);
  return CKR_OK;
}

bool hashes(CK_MECHANISM_TYPE type) {
  return type == CKM_ECDSA_SHA256 || type == CKM_ECDSA_SHA384;
}

}  // namespace

bool is_hidden(const Call& call, CK_MECHANISM_TYPE mechanism) {
  return std::any_of(call.rules().begin(), call.rules().end(), [&](const Rule& rule) {
    return rule.effect == Effect::no_mechanism && State::concerns(rule, call.token()) &&
           std::find(rule.mechanisms.begin(), rule.mechanisms.end(), mechanism) != rule.mechanisms.end();
  });
}

CK_RV run(Is<Function::C_Initialize>, Call& call, void* arguments) {
  const auto* const given = static_cast<const CK_C_INITIALIZE_ARGS*>(arguments);
  const bool locking = given != nullptr && ((given->flags & CKF_OS_LOCKING_OK) != 0 || given->CreateMutex != nullptr);
  if (locking && call.rule(Effect::no_locking) != nullptr) return CKR_CANT_LOCK;
  set_single_threaded(!locking);
  CK_C_INITIALIZE_ARGS ours{};
  ours.flags = CKF_OS_LOCKING_OK;
  return call.state().real().C_Initialize(&ours);
}

CK_RV run(Is<Function::C_Finalize>, Call& call, void* reserved) {
  const CK_RV rv = call.state().real().C_Finalize(reserved);
  if (rv == CKR_OK) call.state().forget_all();
  return rv;
}

CK_RV run(Is<Function::C_GetSlotList>, Call& call, CK_BBOOL present, CK_SLOT_ID* list, CK_ULONG* count) {
  const State& state = call.state();
  CK_ULONG size = 0;
  CK_RV rv = state.real().C_GetSlotList(present, nullptr, &size);
  std::vector<CK_SLOT_ID> real(size);
  if (rv == CKR_OK) rv = state.real().C_GetSlotList(present, real.data(), &size);
  if (rv != CKR_OK) return rv;
  real.resize(size);
  std::vector<CK_SLOT_ID> slots;
  for (const CK_SLOT_ID slot : real) {
    const Token token = state.token_in(slot);
    if (present == CK_TRUE && State::find(call.rules(), Effect::removed, token) != nullptr) continue;
    slots.push_back(state.shown(call.rules(), token));
  }
  return give(slots, list, count);
}

CK_RV run(Is<Function::C_GetSlotInfo>, Call& call, CK_SLOT_ID slot, CK_SLOT_INFO* info) {
  const CK_RV rv = call.state().real().C_GetSlotInfo(slot, info);
  if (rv == CKR_OK && call.rule(Effect::removed) != nullptr) info->flags &= ~CKF_TOKEN_PRESENT;
  return rv;
}

CK_RV run(Is<Function::C_GetTokenInfo>, Call& call, CK_SLOT_ID slot, CK_TOKEN_INFO* info) {
  const CK_RV rv = call.state().real().C_GetTokenInfo(slot, info);
  const Rule* const flags = call.rule(Effect::pin_flags);
  if (rv == CKR_OK && flags != nullptr) info->flags |= flags->flags;
  return rv;
}

CK_RV run(Is<Function::C_GetMechanismList>, Call& call, CK_SLOT_ID slot, CK_MECHANISM_TYPE* list, CK_ULONG* count) {
  const CK_FUNCTION_LIST& real = call.state().real();
  CK_ULONG size = 0;
  CK_RV rv = real.C_GetMechanismList(slot, nullptr, &size);
  std::vector<CK_MECHANISM_TYPE> all(size);
  if (rv == CKR_OK) rv = real.C_GetMechanismList(slot, all.data(), &size);
  if (rv != CKR_OK) return rv;
  all.resize(size);
  std::erase_if(all, hashes);
  if (call.rule(Effect::hashing_ecdsa) != nullptr) all.insert(all.end(), {CKM_ECDSA_SHA256, CKM_ECDSA_SHA384});
  std::erase_if(all, [&call](CK_MECHANISM_TYPE type) { return is_hidden(call, type); });
  return give(all, list, count);
}

CK_RV run(Is<Function::C_GetMechanismInfo>, Call& call, CK_SLOT_ID slot, CK_MECHANISM_TYPE type,
          CK_MECHANISM_INFO* info) {
  if (is_hidden(call, type)) return CKR_MECHANISM_INVALID;
  const bool emulated = hashes(type) && call.rule(Effect::hashing_ecdsa) != nullptr;
  return call.state().real().C_GetMechanismInfo(slot, emulated ? CKM_ECDSA : type, info);
}

}  // namespace avseal::faults
