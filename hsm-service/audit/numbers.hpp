#pragma once

#include <cstdint>
#include <map>
#include <vector>

namespace avseal::audit {

// The numbers from 1 that one counter was seen to give, nearly in order, as runs with gaps between them.
class Numbers {
 public:
  static constexpr std::size_t max_runs = 65536;

  struct Gap {
    std::uint64_t first = 0;
    std::uint64_t last = 0;
    std::int64_t noticed = 0;  // time of the leaf that had the next higher number
    bool crashed = false;      // left by a run of the node that did not end well

    [[nodiscard]] std::uint64_t size() const { return last - first + 1; }
  };

  enum class Added { fresh, doubled, too_many };
  // 1 <= first <= last.
  Added add(std::uint64_t first, std::uint64_t last, std::int64_t time);

  // The run of the node that counted so far ended without telling all: gaps noticed since `since`, and the one below
  // the next higher number, are its.
  void crashed(std::int64_t since);

  [[nodiscard]] std::uint64_t highest() const { return runs_.empty() ? 0 : runs_.rbegin()->second.last; }
  [[nodiscard]] std::vector<Gap> gaps() const;  // also the one below the first run

 private:
  struct Run {
    std::uint64_t last;
    std::int64_t noticed;  // of the gap below it
    bool crashed;
  };
  std::map<std::uint64_t, Run> runs_;  // by first number
  bool after_crash_ = false;
};

}  // namespace avseal::audit
