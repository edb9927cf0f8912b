// Reader of leaves: what the scanner takes is what the general parser takes and writes canonically, byte for byte.
#include <cstdlib>

#include "audit/facts.hpp"
#include "tokens/json.hpp"

using namespace avseal;

namespace {

bool is_canonical(std::string_view text) {
  const auto value = tokens::parse_json(text);
  return value && !tokens::has_fraction(*value) && tokens::canonical_json(*value) == text;
}

// Behind the members that every leaf has, so that the fuzzer gets past them.
void check_leaf(std::string_view details) {
  const auto text =
      R"({"details":)" + std::string(details) + R"(,"event":"e","index":7,"outcome":"released","time":1})";
  audit::Leaf leaf;
  const auto read = audit::read_leaf(as_bytes(text), leaf);
  const bool fits = is_canonical(text) && tokens::parse_json(text)->as_object().contains("index") && !details.empty() &&
                    details.front() == '{';
  if (!read) return;
  if (!fits || leaf.index != 7 || leaf.parsed_details().size() > details.size()) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteView input(data, size);
  const auto text = as_text(input);
  audit::Scanner scanner(text);
  std::string_view raw;
  const bool taken = scanner.value(raw) && scanner.end();
  if (size <= audit::max_leaf_size && taken != is_canonical(text)) std::abort();
  check_leaf(text);
  audit::Leaf leaf;
  const auto facts = audit::facts_of(std::span(&input, 1), 0, leaf);
  if (facts.times.size() != 1) std::abort();
  return 0;
}
