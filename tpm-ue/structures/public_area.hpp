// Public areas of TPM 2.0 objects in the form the wire has them, key blobs, Names.
#pragma once

#include <tss2/tss2_tpm2_types.h>

#include "tokens/bytes.hpp"
#include "tokens/public_key.hpp"
#include "tokens/result.hpp"

namespace avseal::tpm {

// TPMT_PUBLIC: exactly the given bytes, none left over. Reason "tpm-structure-malformed".
inline constexpr std::size_t public_area_max_size = 640;
Result<TPMT_PUBLIC> unmarshal_public(ByteView bytes);
Result<Bytes> marshal_public(const TPMT_PUBLIC& area);

// A key as it is stored outside the TPM: TPM2B_PUBLIC || TPM2B_PRIVATE, the form of tpm2_create -u and -r.
struct KeyBlob {
  TPM2B_PUBLIC public_area{};
  TPM2B_PRIVATE private_area{};
};
inline constexpr std::size_t key_blob_max_size = 1024;
Result<Bytes> marshal(const KeyBlob& blob);
// Exact size, private part not empty. Reason "tpm-structure-malformed".
Result<KeyBlob> unmarshal_key_blob(ByteView bytes);

// nameAlg || H(TPMT_PUBLIC), for nameAlg SHA-256 and SHA-384 (TPM 2.0 part 1, 16).
Result<Bytes> name_of(const TPMT_PUBLIC& area);
Result<Bytes> name_of(const TPM2B_PUBLIC& object);
// The Name of a hierarchy, which is its handle: the parent of a primary key.
Bytes hierarchy_name(TPM2_HANDLE hierarchy);
// nameAlg || H(qualified name of the parent || Name): where an object is, as attestations say it.
Result<Bytes> qualified_name(ByteView parent, ByteView name);

// The point of a P-256 key, whose coordinates a TPM may have trimmed.
Result<tokens::PublicKey> public_key_of(const TPMT_PUBLIC& area);
Result<tokens::PublicKey> public_key_of(const TPM2B_PUBLIC& object);

}  // namespace avseal::tpm
