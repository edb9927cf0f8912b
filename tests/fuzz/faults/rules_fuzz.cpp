#include "tests/faults/module/rules.hpp"
#include "tokens/bytes.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  (void)avseal::faults::parse_rules(avseal::as_text({data, size}));
  return 0;
}
