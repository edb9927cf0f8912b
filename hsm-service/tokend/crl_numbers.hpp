#pragma once

#include <filesystem>

#include "tokens/crl.hpp"

namespace avseal::tokend {

// Makes `number` the highest CRL number that the key signed, on disk before this returns, for all workers with that
// state directory: no number is used twice, even if the signature is then never made. Reasons "crl-number-not-rising",
// "state-unusable".
Result<void> claim_crl_number(const std::filesystem::path& state_directory, const tokens::PublicKey& key,
                              const tokens::CrlNumber& number);

}  // namespace avseal::tokend
