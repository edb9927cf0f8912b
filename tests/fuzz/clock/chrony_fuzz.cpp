#include "clock/chrony.hpp"
#include "tokens/bytes.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto tracking = avseal::clock::parse_tracking(avseal::as_text({data, size}));
  if (tracking) (void)avseal::clock::judge_chrony(*tracking);
  return 0;
}
