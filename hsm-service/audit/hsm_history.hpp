// What HSMs' own logs say of signatures, held against what the ledger says.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <string>

#include "audit/counters.hpp"
#include "audit/hsm_log.hpp"
#include "audit/verdict.hpp"

namespace avseal::audit {

// One key of the ledger and the object that it is in the HSMs.
struct HsmKey {
  std::string name;
  std::uint16_t object = 0;
};

// Signatures of one key, counted twice.
struct HsmCount {
  HsmKey key;
  std::uint64_t in_hsm = 0;
  std::uint64_t in_ledger = 0;
};

// A chain of entries from an HSM's reset on. What follows another such first entry is the log of another HSM, or of
// the same one after another reset; the counts are of all together.
class HsmHistory {
 public:
  explicit HsmHistory(Verdict& verdict) : verdict_(verdict) {}

  // In the order in which the outputs were got; they may overlap.
  void take(const std::string& name, std::string_view text);
  // `tests`: how many signatures the ledger need not tell of, of all these keys together. Nothing is compared if the
  // entries do not hold together.
  std::vector<HsmCount> compare(const std::vector<HsmKey>& keys, std::uint64_t tests,
                                const std::map<std::string, KeyTotal>& ledger);

  [[nodiscard]] std::uint64_t entries() const { return entries_; }
  [[nodiscard]] std::uint64_t logs() const { return logs_; }

 private:
  struct Object {
    std::uint64_t signatures = 0;
    std::map<std::uint8_t, std::uint64_t> other_uses;  // by command
  };
  void take(const std::string& name, const HsmEntry& entry);
  void count(const HsmEntry& entry);
  void tell_counts(const std::vector<HsmCount>& counts);
  void tell_other_uses(const std::vector<HsmKey>& keys);
  void tell_strangers(const std::vector<HsmKey>& keys);
  void broken(const std::string& name, std::string found);

  Verdict& verdict_;
  bool whole_ = true;
  std::deque<HsmEntry> recent_;  // the last ones, which the next output may repeat
  std::map<std::uint16_t, Object> objects_;
  std::uint64_t entries_ = 0;
  std::uint64_t logs_ = 0;
};

}  // namespace avseal::audit
