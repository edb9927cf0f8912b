#include "structures/public_area.hpp"

#include "structures/exact.hpp"
#include "tokens/digest.hpp"

namespace avseal::tpm {

namespace {

using Buffer = std::array<std::uint8_t, sizeof(TPM2B_PUBLIC) + sizeof(TPM2B_PRIVATE)>;

// nameAlg || H(bytes) in that algorithm.
Result<Bytes> algorithm_and_digest(TPMI_ALG_HASH algorithm, ByteView bytes) {
  Bytes out{static_cast<std::uint8_t>(algorithm >> 8U), static_cast<std::uint8_t>(algorithm & 0xFFU)};
  if (algorithm == TPM2_ALG_SHA256) {
    const tokens::Sha256 digest = tokens::sha256(bytes);
    out.insert(out.end(), digest.begin(), digest.end());
  } else if (algorithm == TPM2_ALG_SHA384) {
    const Bytes digest = tokens::sha384(bytes);
    out.insert(out.end(), digest.begin(), digest.end());
  } else {
    return errors::malformed("object with nameAlg SHA-256 or SHA-384");
  }
  return out;
}

}  // namespace

namespace errors {

Error malformed(std::string_view structure) {
  return avseal::errors::make(Category::invalid, "tpm-structure-malformed",
                              "not a well-formed " + std::string(structure) + " of exactly the given size");
}

}  // namespace errors

Result<TPMT_PUBLIC> unmarshal_public(ByteView bytes) {
  return read_exact<TPMT_PUBLIC>(bytes, public_area_max_size, Tss2_MU_TPMT_PUBLIC_Unmarshal,
                                 Tss2_MU_TPMT_PUBLIC_Marshal, "TPMT_PUBLIC");
}

Result<Bytes> marshal_public(const TPMT_PUBLIC& area) {
  return write_exact<TPMT_PUBLIC>(area, Tss2_MU_TPMT_PUBLIC_Marshal, "TPMT_PUBLIC");
}

Result<Bytes> marshal(const KeyBlob& blob) {
  Buffer buffer{};
  std::size_t size = 0;
  if (Tss2_MU_TPM2B_PUBLIC_Marshal(&blob.public_area, buffer.data(), buffer.size(), &size) != TSS2_RC_SUCCESS ||
      Tss2_MU_TPM2B_PRIVATE_Marshal(&blob.private_area, buffer.data(), buffer.size(), &size) != TSS2_RC_SUCCESS) {
    return errors::malformed("TPM2B_PUBLIC and TPM2B_PRIVATE");
  }
  return Bytes(buffer.data(), buffer.data() + size);
}

Result<KeyBlob> unmarshal_key_blob(ByteView bytes) {
  const Error malformed = errors::malformed("TPM2B_PUBLIC and TPM2B_PRIVATE");
  if (bytes.size() > key_blob_max_size) return malformed;
  KeyBlob blob;
  std::size_t offset = 0;
  if (Tss2_MU_TPM2B_PUBLIC_Unmarshal(bytes.data(), bytes.size(), &offset, &blob.public_area) != TSS2_RC_SUCCESS ||
      Tss2_MU_TPM2B_PRIVATE_Unmarshal(bytes.data(), bytes.size(), &offset, &blob.private_area) != TSS2_RC_SUCCESS) {
    return malformed;
  }
  if (offset != bytes.size() || blob.private_area.size == 0) return malformed;
  // The library reads the public part leniently: its own form must give the same bytes again.
  const auto again = marshal(blob);
  if (!again || !std::equal(again->begin(), again->end(), bytes.begin(), bytes.end())) return malformed;
  return blob;
}

Result<Bytes> name_of(const TPMT_PUBLIC& area) {
  AVSEAL_TRY(const Bytes bytes, marshal_public(area));
  return algorithm_and_digest(area.nameAlg, bytes);
}

Result<Bytes> name_of(const TPM2B_PUBLIC& object) {
  return name_of(object.publicArea);
}

Bytes hierarchy_name(TPM2_HANDLE hierarchy) {
  return {static_cast<std::uint8_t>(hierarchy >> 24U), static_cast<std::uint8_t>((hierarchy >> 16U) & 0xFFU),
          static_cast<std::uint8_t>((hierarchy >> 8U) & 0xFFU), static_cast<std::uint8_t>(hierarchy & 0xFFU)};
}

Result<Bytes> qualified_name(ByteView parent, ByteView name) {
  if (name.size() < 2) return errors::malformed("Name");
  Bytes both(parent.begin(), parent.end());
  both.insert(both.end(), name.begin(), name.end());
  return algorithm_and_digest(static_cast<TPMI_ALG_HASH>(name[0] << 8U | name[1]), both);
}

Result<tokens::PublicKey> public_key_of(const TPMT_PUBLIC& area) {
  if (area.type != TPM2_ALG_ECC || area.parameters.eccDetail.curveID != TPM2_ECC_NIST_P256) {
    return errors::malformed("P-256 public area");
  }
  Bytes point{0x04};
  AVSEAL_CHECK(append_padded(point, area.unique.ecc.x));
  AVSEAL_CHECK(append_padded(point, area.unique.ecc.y));
  return tokens::PublicKey::from_point(point);
}

Result<tokens::PublicKey> public_key_of(const TPM2B_PUBLIC& object) {
  return public_key_of(object.publicArea);
}

}  // namespace avseal::tpm
