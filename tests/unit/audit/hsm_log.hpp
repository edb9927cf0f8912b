#pragma once

#include <string>
#include <vector>

#include <fmt/format.h>

#include "tokens/base64.hpp"
#include "tokens/digest.hpp"

namespace avseal::audit::test {

// A YubiHSM 2's log, its hashes made of the digits of its members.
class HsmLogText {
 public:
  std::string hash;  // of the last entry, hexadecimal

  explicit HsmLogText(const std::string& random = std::string(32, 'a')) { begin(random); }

  HsmLogText& begin(const std::string& random) {
    number_ = 1;
    hash = random;
    items_.push_back(line(1, 0xff, 0xffff, 0xffff, 0xffff, 0xffff, 0xff, 0xffffffff));
    return *this;
  }
  HsmLogText& add(unsigned command, unsigned target, unsigned second = 0xffff, unsigned result = 0) {
    number_ = (number_ + 1) % 65536;
    if (result == 0) result = command | 0x80;
    const auto members = fmt::format("{:04x}{:02x}{:04x}{:04x}{:04x}{:04x}{:02x}{:08x}", number_, command, 36, 2,
                                     target, second, result, tick_);
    const auto input = tokens::hex_decode(members + hash);
    hash = tokens::hex_encode(tokens::sha256(*input)).substr(0, 32);
    items_.push_back(line(number_, command, 36, 2, target, second, result, tick_));
    ++tick_;
    return *this;
  }
  HsmLogText& sign(unsigned object, std::size_t times = 1) {
    while (times-- > 0) add(0x56, object);
    return *this;
  }

  [[nodiscard]] std::vector<std::string>& items() { return items_; }

  // Of so many entries from there on.
  [[nodiscard]] std::string output(std::size_t from, std::size_t count, unsigned boots = 0, unsigned logins = 0) const {
    std::string text = fmt::format("{} unlogged boots found\n{} unlogged authentications found\n{}\n", boots, logins,
                                   count == 0   ? std::string("No logs to extract")
                                   : count == 1 ? std::string("Found 1 item")
                                                : fmt::format("Found {} items", count));
    for (std::size_t i = from; i < from + count; ++i) text += items_.at(i) + "\n";
    return text;
  }
  // As an operator drains it: 60 entries at a time.
  [[nodiscard]] std::string all() const {
    std::string text;
    for (std::size_t from = 0; from < items_.size(); from += 60) {
      text += output(from, std::min<std::size_t>(60, items_.size() - from));
    }
    return text;
  }

 private:
  [[nodiscard]] std::string line(unsigned number, unsigned command, unsigned length, unsigned session, unsigned target,
                                 unsigned second, unsigned result, unsigned tick) const {
    return fmt::format(
        "item: {:5} -- cmd: 0x{:02x} -- length: {:4} -- session key: 0x{:04x} -- target key: 0x{:04x} -- second key: "
        "0x{:04x} -- result: 0x{:02x} -- tick: {} -- hash: {}",
        number, command, length, session, target, second, result, tick, hash);
  }

  unsigned number_ = 1;
  unsigned tick_ = 7;
  std::vector<std::string> items_;
};

}  // namespace avseal::audit::test
