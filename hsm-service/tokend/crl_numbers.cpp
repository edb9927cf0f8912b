#include "tokend/crl_numbers.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "tokend/state_file.hpp"
#include "tokens/base64.hpp"
#include "tokens/digest.hpp"

namespace avseal::tokend {

namespace {

// The file is the number in hexadecimal and a newline.
Result<tokens::CrlNumber> parse(const std::string& name, std::string_view text) {
  tokens::CrlNumber number{};
  const auto digits = tokens::hex_decode(text.substr(0, 2 * number.size()));
  if (text.size() != 2 * number.size() + 1 || text.back() != '\n' || !digits) {
    return errors::make(
        Category::unavailable, "state-unusable",
        fmt::format("{}: expected a CRL number; write the highest that was published there, 40 hexadecimal digits and "
                    "a newline",
                    name));
  }
  std::copy(digits->begin(), digits->end(), number.begin());
  return number;
}

}  // namespace

Result<void> claim_crl_number(const std::filesystem::path& state_directory, const tokens::PublicKey& key,
                              const tokens::CrlNumber& number) {
  const std::string name = "crl-number-" + tokens::hex_encode(tokens::sha256(key.spki()));
  AVSEAL_TRY(const StateFile file, StateFile::lock(state_directory, name));
  AVSEAL_TRY(const std::optional<std::string> text, file.read());
  if (text) {
    AVSEAL_TRY(const tokens::CrlNumber highest, parse(name, *text));
    if (number <= highest) {
      return errors::make(Category::conflict, "crl-number-not-rising",
                          fmt::format("expected a CRL number above {}, found {}; build the CRL anew with a higher one",
                                      tokens::hex_encode(highest), tokens::hex_encode(number)));
    }
  }
  return file.replace(tokens::hex_encode(number) + "\n");
}

}  // namespace avseal::tokend
