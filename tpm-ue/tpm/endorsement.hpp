// The endorsement key of the TPM's maker: its certificates in NV, and the key itself (TCG EK Credential Profile).
#pragma once

#include <array>
#include <optional>
#include <string_view>

#include "tokens/digest.hpp"
#include "tpm/context.hpp"

namespace avseal::tpm {

enum class EkType { p256, rsa2048, p384 };
// In the order in which one is chosen: what a TPM and the other side do with little work goes first.
inline constexpr std::array ek_types{EkType::p256, EkType::rsa2048, EkType::p384};
std::string_view to_string(EkType type);  // "p-256", "rsa-2048", "p-384"
std::optional<EkType> ek_type_of(std::string_view text);

// The certificate at the start of an NV index, exactly as it is there: whatever follows its outer SEQUENCE is padding.
// Reason "ek-certificate-malformed".
Result<Bytes> cut_certificate(ByteView content);
// The certificates in the joined content of indices, with padding between and behind them.
std::vector<Bytes> split_certificates(ByteView content);

Result<std::optional<Bytes>> read_ek_certificate(Context& context, EkType type);
// The issuers of `certificate` that the TPM has, nearest first, at most four, without a root.
Result<std::vector<Bytes>> read_ek_chain(Context& context, ByteView certificate);
Result<std::optional<Bytes>> read_platform_certificate(Context& context);

// SHA-256 of the certificate's SubjectPublicKeyInfo: what manifests list, the id of the device.
// Reason "ek-certificate-malformed".
Result<tokens::Sha256> ek_hash(ByteView certificate);

struct EndorsementKey {
  Handle handle;
  TPM2B_PUBLIC public_area{};
};
// The key of `certificate`: the persistent one if it is there, else made again, by the template and nonce in NV where
// the maker left them. Reasons "tpm-ek-mismatch", "tpm-ek-template", those of ek_hash.
Result<EndorsementKey> find_endorsement_key(Context& context, EkType type, ByteView certificate);

}  // namespace avseal::tpm
