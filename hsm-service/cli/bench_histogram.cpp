#include <algorithm>
#include <cmath>

#include "cli/bench_load.hpp"

namespace avseal::cli {

void LatencyHistogram::add(std::chrono::nanoseconds latency) {
  const double us = std::max(1.0, static_cast<double>(latency.count()) / 1000.0);
  const auto bucket = static_cast<std::size_t>(std::log2(us) * per_octave);
  ++buckets_[std::min(bucket, buckets_.size() - 1)];
  ++count_;
}

void LatencyHistogram::merge(const LatencyHistogram& other) {
  for (std::size_t i = 0; i < buckets_.size(); ++i) buckets_[i] += other.buckets_[i];
  count_ += other.count_;
}

double LatencyHistogram::percentile_ms(double fraction) const {
  const auto rank = static_cast<std::uint64_t>(std::ceil(fraction * static_cast<double>(count_)));
  std::uint64_t seen = 0;
  for (std::size_t i = 0; i < buckets_.size(); ++i) {
    seen += buckets_[i];
    if (seen >= rank && seen > 0) return std::exp2((static_cast<double>(i) + 0.5) / per_octave) / 1000.0;
  }
  return 0;
}

void LoadResult::merge(const LoadResult& other) {
  latencies.merge(other.latencies);
  for (const auto& [status, count] : other.statuses) statuses[status] += count;
  for (const auto& [error, count] : other.errors) errors[error] += count;
  sent += other.sent;
  longest_pause = std::max(longest_pause, other.longest_pause);
}

}  // namespace avseal::cli
