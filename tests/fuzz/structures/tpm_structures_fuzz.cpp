// TPMT_PUBLIC, TPMS_ATTEST and TPMT_SIGNATURE from the network: what is read is written again byte for byte.
#include <algorithm>
#include <cstdlib>

#include "structures/attest.hpp"
#include "structures/public_area.hpp"
#include "structures/templates.hpp"

using namespace avseal;

namespace {

void require_same(const Result<Bytes>& again, ByteView bytes) {
  if (!again || !std::equal(again->begin(), again->end(), bytes.begin(), bytes.end())) std::abort();
}

}  // namespace

// The first byte says which structure follows.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const int quiet = ::setenv("TSS2_LOG", "all+none", 1);
  static_cast<void>(quiet);
  if (size == 0) return 0;
  const ByteView bytes(data + 1, size - 1);
  if (data[0] % 3 == 0) {
    const auto area = tpm::unmarshal_public(bytes);
    if (!area) return 0;
    require_same(tpm::marshal_public(*area), bytes);
    const auto name = tpm::name_of(*area);
    if (name && !tpm::qualified_name(tpm::hierarchy_name(TPM2_RH_OWNER), *name)) std::abort();
    const auto key = tpm::public_key_of(*area);
    if (key && key->point().size() != 65) std::abort();
    for (const auto& wanted : {tpm::ue_key_template(), tpm::srk_template(), tpm::ek_rsa2048_template()}) {
      static_cast<void>(tpm::matches_template({.size = 0, .publicArea = *area}, wanted));
    }
  } else if (data[0] % 3 == 1) {
    if (const auto attest = tpm::unmarshal_attest(bytes)) require_same(tpm::marshal_attest(*attest), bytes);
  } else if (const auto signature = tpm::unmarshal_signature(bytes)) {
    require_same(tpm::marshal_signature(*signature), bytes);
    const auto raw = tpm::raw_signature(*signature);
    if (raw && raw->size() != 64) std::abort();
  }
  return 0;
}
