// The two wrapped forms. seal_* give the whole form; open_* get one whose first byte and length are right. The code of
// the call that authenticates goes to `rv`; an error is one of the calls around it.
#pragma once

#include "pkcs11/session.hpp"

namespace avseal::pkcs11 {

inline constexpr std::size_t min_data_key = 16;
inline constexpr std::size_t max_data_key = 64;
inline constexpr std::size_t gcm_overhead = 1 + 12 + 16;
inline constexpr std::size_t kw_overhead = 1 + 8 + 32;

Result<Bytes> seal_gcm(Session& session, CK_OBJECT_HANDLE key, ByteView data_key, ByteView aad);
Result<Secret> open_gcm(Session& session, CK_OBJECT_HANDLE key, ByteView wrapped, ByteView aad, CK_RV& rv);

Result<Bytes> seal_kw(Session& session, CK_OBJECT_HANDLE key, ByteView data_key, ByteView aad);
Result<Secret> open_kw(Session& session, CK_OBJECT_HANDLE key, ByteView wrapped, ByteView aad, CK_RV& rv);

}  // namespace avseal::pkcs11
