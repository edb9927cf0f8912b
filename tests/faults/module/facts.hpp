// What happened in one process, in a file that it maps: it can be read at any moment, also after the process was
// killed. The layout is of unsigned 64-bit numbers of the machine, but for `magic` and `token`; tests/support/faults.py
// reads it too.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include "tests/faults/module/functions.hpp"

namespace avseal::faults {

inline constexpr std::array<char, 8> facts_magic = {'a', 'v', 'f', 'a', 'c', 't', '0', '1'};
using Number = std::atomic<std::uint64_t>;

struct CodeFacts {
  Number code_plus_one;  // 0: not in use
  Number count;
};

struct FunctionFacts {
  Number calls;
  std::array<CodeFacts, 15> codes;  // what they returned
};

struct Facts {
  std::array<char, 8> magic;
  std::array<char, 32> token;  // label of the token of the last session that was opened; zeros: none
  Number rules_read;           // modification time in ns of the rules in force
  Number injected;             // times that a rule struck at a call, or ended sessions, logins or handles
  Number calls_now;
  Number calls_at_once;     // the most
  Number overlaps;          // calls begun during another's, of a caller that was refused locking
  Number sessions;          // open
  Number sessions_at_once;  // the most
  Number forks;             // of this process, which PKCS#11 forbids
  std::array<FunctionFacts, function_count> functions;  // in the order of functions.hpp
};

inline void raise_to(Number& most, std::uint64_t value) {
  std::uint64_t before = most.load();
  while (before < value && !most.compare_exchange_weak(before, value)) {
  }
}

inline void count_code(FunctionFacts& facts, CK_RV code) {
  ++facts.calls;
  for (CodeFacts& place : facts.codes) {
    std::uint64_t free = 0;
    if (place.code_plus_one.compare_exchange_strong(free, code + 1) || free == code + 1) {
      ++place.count;
      return;
    }
  }
}

}  // namespace avseal::faults
