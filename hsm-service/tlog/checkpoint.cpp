#include "tlog/checkpoint.hpp"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include "tlog/errors.hpp"
#include "tlog/note.hpp"
#include "tokens/base64.hpp"

namespace avseal::tlog {

namespace {

Error malformed(std::string detail) {
  return errors::malformed("checkpoint-malformed", std::move(detail));
}

}  // namespace

std::string hash_text(const Hash& hash) {
  return tokens::base64_encode(hash);
}

Result<Hash> parse_hash(std::string_view text) {
  const auto bytes = tokens::base64_decode(text);
  Hash hash{};
  if (!bytes || bytes->size() != hash.size()) return malformed("expected a hash: 32 bytes in base64");
  std::copy(bytes->begin(), bytes->end(), hash.begin());
  return hash;
}

Result<std::uint64_t> parse_size(std::string_view text) {
  std::uint64_t size = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), size);
  const bool whole = failed == std::errc() && end == text.data() + text.size();
  if (!whole || (text.size() > 1 && text.front() == '0') || size >> 63U != 0) {
    return malformed("expected a decimal number below 2^63 without leading zeros");
  }
  return size;
}

std::string Checkpoint::text() const {
  return fmt::format("{}\n{}\n{}\n", origin, size, hash_text(root));
}

Result<Checkpoint> Checkpoint::parse(std::string_view text) {
  if (std::count(text.begin(), text.end(), '\n') != 3 || text.back() != '\n') {
    return malformed("expected three lines: origin, size and root hash");
  }
  const auto first = text.find('\n');
  const auto second = text.find('\n', first + 1);
  Checkpoint checkpoint;
  checkpoint.origin = text.substr(0, first);
  if (!is_key_name(checkpoint.origin)) return malformed("expected an origin without spaces and plus signs");
  AVSEAL_TRY(checkpoint.size, parse_size(text.substr(first + 1, second - first - 1)));
  AVSEAL_TRY(checkpoint.root, parse_hash(text.substr(second + 1, text.size() - second - 2)));
  return checkpoint;
}

}  // namespace avseal::tlog
