// Reading of NV indices that the TPM's maker filled (TCG EK Credential Profile 2.5, section 2.2.1.4; registry of
// reserved handles).
#pragma once

#include <optional>

#include "tpm/context.hpp"

namespace avseal::tpm {

inline constexpr std::size_t nv_max_size = 16 * 1024;
inline constexpr std::string_view nv_unreadable = "tpm-nv-unreadable";

// The content of `index`, or nothing if it is not defined or was never written. No password is tried where a wrong one
// would count against the TPM's lockout. Reason "tpm-nv-unreadable".
Result<std::optional<Bytes>> read_nv(Context& context, TPM2_HANDLE index);

}  // namespace avseal::tpm
