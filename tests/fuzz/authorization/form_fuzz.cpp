// Bodies of token requests.
#include "authorization/token_request.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view body(reinterpret_cast<const char*>(data), size);
  const auto form = avseal::authorization::parse_form(body);
  if (form && form->size() > 32) __builtin_trap();
  return 0;
}
