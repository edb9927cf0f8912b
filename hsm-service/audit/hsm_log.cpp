#include "audit/hsm_log.hpp"

#include <algorithm>
#include <charconv>
#include <limits>

#include <fmt/format.h>

#include "tokens/base64.hpp"
#include "tokens/digest.hpp"

namespace avseal::audit {

namespace {

constexpr std::size_t max_entries = 64;  // of an output: what the vendor's program asks for
constexpr std::size_t max_shown = 60;    // of a line that is not as it should be

std::string text_of(const HsmEntry& entry) {
  return fmt::format(
      "item: {:5} -- cmd: 0x{:02x} -- length: {:4} -- session key: 0x{:04x} -- target key: 0x{:04x} -- second key: "
      "0x{:04x} -- result: 0x{:02x} -- tick: {} -- hash: {}",
      entry.number, entry.command, entry.length, entry.session_key, entry.target, entry.second, entry.result,
      entry.tick, tokens::hex_encode(entry.hash));
}

template <class Number>
bool read(std::string_view text, int base, Number& out) {
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), out, base);
  return failed == std::errc() && end == text.data() + text.size();
}

// The words of a line between what names them; it is the entry's only if the entry is written like that.
class Words {
 public:
  explicit Words(std::string_view line) : rest_(line) {}

  // Behind `name`, up to " -- " or the end.
  std::string_view behind(std::string_view name) {
    if (!rest_.starts_with(name)) return {};
    rest_.remove_prefix(name.size());
    const auto end = std::min(rest_.find(" -- "), rest_.size());
    const auto word = rest_.substr(0, end);
    rest_.remove_prefix(std::min(end + 4, rest_.size()));
    return word.substr(std::min(word.find_first_not_of(' '), word.size()));
  }

 private:
  std::string_view rest_;
};

bool read_entry(std::string_view line, HsmEntry& entry) {
  Words words(line);
  const bool good = read(words.behind("item: "), 10, entry.number) &&
                    read(words.behind("cmd: 0x"), 16, entry.command) &&
                    read(words.behind("length: "), 10, entry.length) &&
                    read(words.behind("session key: 0x"), 16, entry.session_key) &&
                    read(words.behind("target key: 0x"), 16, entry.target) &&
                    read(words.behind("second key: 0x"), 16, entry.second) &&
                    read(words.behind("result: 0x"), 16, entry.result) && read(words.behind("tick: "), 10, entry.tick);
  if (!good) return false;
  const auto hash = tokens::hex_decode(words.behind("hash: "));
  if (!hash || hash->size() != entry.hash.size()) return false;
  std::copy(hash->begin(), hash->end(), entry.hash.begin());
  return text_of(entry) == line;
}

class Reader {
 public:
  explicit Reader(std::string_view text) : rest_(text) {}

  Result<std::vector<HsmOutput>> all() {
    std::vector<HsmOutput> outputs;
    do {
      AVSEAL_TRY(auto output, one());
      outputs.push_back(std::move(output));
    } while (!rest_.empty());
    return outputs;
  }

 private:
  Result<HsmOutput> one() {
    HsmOutput output;
    AVSEAL_CHECK(count(output.unlogged_boots, " unlogged boots found"));
    AVSEAL_CHECK(count(output.unlogged_authentications, " unlogged authentications found"));
    AVSEAL_TRY(const auto entries, found());
    for (std::size_t i = 0; i < entries; ++i) {
      const auto line = next();
      if (!read_entry(line, output.entries.emplace_back())) return malformed("an entry (\"item: ...\")", line);
    }
    return output;
  }

  Result<void> count(std::uint16_t& out, std::string_view what) {
    const auto line = next();
    if (line.ends_with(what) && read(line.substr(0, line.size() - what.size()), 10, out) &&
        line == fmt::format("{}{}", out, what)) {
      return {};
    }
    return malformed(fmt::format("\"N{}\"", what), line);
  }

  Result<std::size_t> found() {
    const auto line = next();
    if (line == "No logs to extract") return std::size_t{0};
    if (line == "Found 1 item") return std::size_t{1};
    for (std::size_t entries = 2; entries <= max_entries; ++entries) {
      if (line == fmt::format("Found {} items", entries)) return entries;
    }
    return malformed(fmt::format("\"Found N items\", at most {}", max_entries), line);
  }

  // Without its end; empty at the end of the text, and if the last line has none.
  std::string_view next() {
    ++number_;
    const auto end = rest_.find('\n');
    const auto line = rest_.substr(0, end == std::string_view::npos ? 0 : end);
    rest_.remove_prefix(end == std::string_view::npos ? rest_.size() : end + 1);
    return line;
  }

  [[nodiscard]] Error malformed(std::string_view expected, std::string_view line) const {
    const bool plain = std::all_of(line.begin(), line.end(), [](char c) { return c >= ' ' && c <= '~'; });
    return errors::make(Category::invalid, "hsm-log-malformed",
                        fmt::format("line {}: expected {}, found {}", number_, expected,
                                    line.empty() ? std::string("nothing, or a line that is not whole")
                                    : plain      ? fmt::format("\"{}\"", line.substr(0, max_shown))
                                                 : std::string("characters that are not printable ASCII")));
  }

  std::string_view rest_;
  std::size_t number_ = 0;
};

}  // namespace

bool HsmEntry::begins_log() const {
  constexpr auto ones = std::numeric_limits<std::uint16_t>::max();
  return number == 1 && command == 0xff && length == ones && session_key == ones && target == ones && second == ones &&
         result == 0xff && tick == std::numeric_limits<std::uint32_t>::max();
}

HsmEntry::Hash HsmEntry::hash_behind(const Hash& before) const {
  Bytes input;
  const auto put = [&input](std::uint32_t value, unsigned bytes) {
    while (bytes-- > 0) input.push_back(static_cast<std::uint8_t>(value >> 8 * bytes));
  };
  put(number, 2);
  put(command, 1);
  put(length, 2);
  put(session_key, 2);
  put(target, 2);
  put(second, 2);
  put(result, 1);
  put(tick, 4);
  input.insert(input.end(), before.begin(), before.end());
  const auto digest = tokens::sha256(input);
  Hash truncated{};
  std::copy_n(digest.begin(), truncated.size(), truncated.begin());
  return truncated;
}

Result<std::vector<HsmOutput>> parse_hsm_log(std::string_view text) {
  return Reader(text).all();
}

}  // namespace avseal::audit
