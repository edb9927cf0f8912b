// Whatever arrives: at most one kind of key signs it.
#include <cstdlib>

#include "tokend/key_rules.hpp"

using namespace avseal;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  int accepted = 0;
  for (const pkcs11::KeyKind kind : pkcs11::all_key_kinds) {
    tokend::KeyRule rule;
    rule.kind = kind;
    rule.origin = "a.example/node";
    if (tokend::check_input(rule, {data, size})) ++accepted;
  }
  if (accepted > 1) std::abort();
  return 0;
}
