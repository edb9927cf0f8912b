#include "tpm/nv.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "tpm/keys.hpp"

namespace avseal::tpm {

namespace {

constexpr std::uint16_t default_chunk = 512;  // every TPM of the PC client profile reads as much at once

Error unreadable(TPM2_HANDLE index, std::string_view why) {
  return avseal::errors::make(Category::internal, nv_unreadable, fmt::format("NV index 0x{:08X}: {}", index, why));
}

Result<std::uint32_t> chunk_size(Context& context) {
  AVSEAL_TRY(const auto said, context.property(TPM2_PT_NV_BUFFER_MAX));
  const std::uint32_t most = said.value_or(0) == 0 ? default_chunk : *said;
  return std::min<std::uint32_t>(most, TPM2_MAX_NV_BUFFER_SIZE);
}

// Who authorises the reading with an empty password.
std::optional<ESYS_TR> reader_of(const TPMS_NV_PUBLIC& area, ESYS_TR index) {
  const bool by_index = (area.attributes & TPMA_NV_AUTHREAD) != 0;
  if (by_index && (area.attributes & TPMA_NV_NO_DA) != 0) return index;
  if ((area.attributes & TPMA_NV_OWNERREAD) != 0) return ESYS_TR_RH_OWNER;
  return std::nullopt;
}

Result<Bytes> read_all(Context& context, ESYS_TR reader, const Handle& index, std::uint16_t size) {
  AVSEAL_TRY(const std::uint32_t chunk, chunk_size(context));
  Bytes content;
  while (content.size() < size) {
    const auto offset = static_cast<UINT16>(content.size());
    const auto wanted = static_cast<UINT16>(std::min<std::uint32_t>(chunk, std::uint32_t{size} - offset));
    TPM2B_MAX_NV_BUFFER* raw = nullptr;
    AVSEAL_CHECK(context.command("TPM2_NV_Read", [&](ESYS_CONTEXT* esys) {
      return Esys_NV_Read(esys, reader, index.get(), ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, wanted, offset,
                          &raw);
    }));
    const EsysPtr<TPM2B_MAX_NV_BUFFER> part(raw);
    if (part->size != wanted) return errors::malformed("part of an NV index");
    content.insert(content.end(), part->buffer, part->buffer + part->size);
  }
  return content;
}

}  // namespace

Result<std::optional<Bytes>> read_nv(Context& context, TPM2_HANDLE index) {
  AVSEAL_TRY(const auto present, handles_between(context, index, index));
  if (present.empty()) return std::optional<Bytes>{};
  ESYS_TR reference = ESYS_TR_NONE;
  AVSEAL_CHECK(context.command("TPM2_NV_ReadPublic", [&](ESYS_CONTEXT* esys) {
    return Esys_TR_FromTPMPublic(esys, index, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &reference);
  }));
  const Handle handle(context, reference, Handle::Kind::persistent);
  TPM2B_NV_PUBLIC* raw = nullptr;
  AVSEAL_CHECK(context.command("TPM2_NV_ReadPublic", [&](ESYS_CONTEXT* esys) {
    return Esys_NV_ReadPublic(esys, reference, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &raw, nullptr);
  }));
  const EsysPtr<TPM2B_NV_PUBLIC> area(raw);
  const TPMS_NV_PUBLIC& found = area->nvPublic;
  if ((found.attributes & TPMA_NV_WRITTEN) == 0) return std::optional<Bytes>{};
  if (found.dataSize > nv_max_size) return unreadable(index, "larger than a certificate can be");
  const auto reader = reader_of(found, reference);
  if (!reader) return unreadable(index, "needs a policy or a password that counts against the lockout");
  AVSEAL_TRY(Bytes content, read_all(context, *reader, handle, found.dataSize));
  return std::optional<Bytes>(std::move(content));
}

}  // namespace avseal::tpm
