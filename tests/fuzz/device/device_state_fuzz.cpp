// The files of a state directory: state.json, and the TPM structures of the key file.
#include <cstdlib>

#include "device/state.hpp"
#include "structures/public_area.hpp"
#include "structures/templates.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const avseal::ByteView bytes(data, size);
  if (const auto state = avseal::device::parse_state(avseal::as_text(bytes))) {
    const auto again = avseal::device::parse_state(avseal::device::render_state(*state));
    if (!again || avseal::device::render_state(*again) != avseal::device::render_state(*state)) std::abort();
  }
  if (const auto blob = avseal::tpm::unmarshal_key_blob(bytes)) {
    const auto again = avseal::tpm::marshal(*blob);
    if (!again || again->size() != size) std::abort();
    (void)avseal::tpm::name_of(blob->public_area);
    (void)avseal::tpm::public_key_of(blob->public_area);
    (void)avseal::tpm::matches_template(blob->public_area, avseal::tpm::ue_key_template());
  }
  return 0;
}
