// A load generator: requests over mTLS HTTP/2, a fixed number in flight.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "tokens/result.hpp"

namespace avseal::cli {

struct LoadOptions {
  std::string url;  // https://host:port, and the path unless `path` is given
  std::string path;
  std::string method = "GET";
  std::string content_type = "application/json";
  std::string body;      // {{uuid}} and {{now}} are replaced for each request
  bool fill_in = false;  // whether to look for them
  std::filesystem::path anchors;
  std::filesystem::path certificate;
  std::filesystem::path private_key;
  unsigned connections = 8;
  unsigned streams = 16;  // in flight per connection
  unsigned threads = 1;
  std::chrono::milliseconds warm_up{200};
  std::chrono::seconds duration{5};
  // In place of warm-up and duration, if given: asked now and then, true ends the load. Requests in flight are waited
  // for, so that every one that was sent is answered or counted as an error.
  std::function<bool()> finished;
};

// Latencies with a resolution of about 2 %, from 1 us to a minute.
class LatencyHistogram {
 public:
  void add(std::chrono::nanoseconds latency);
  void merge(const LatencyHistogram& other);
  [[nodiscard]] double percentile_ms(double fraction) const;
  [[nodiscard]] std::uint64_t count() const { return count_; }

 private:
  static constexpr std::size_t per_octave = 32;
  std::array<std::uint64_t, 26 * per_octave> buckets_{};
  std::uint64_t count_ = 0;
};

struct LoadResult {
  double seconds = 0;
  LatencyHistogram latencies;  // of complete answers
  std::map<unsigned, std::uint64_t> statuses;
  std::map<std::string, std::uint64_t> errors;  // resets and lost connections
  std::uint64_t sent = 0;
  std::chrono::nanoseconds longest_pause{0};  // between two answers of status 200
  void merge(const LoadResult& other);
};

// Runs the load; an error if the options cannot be used or no connection could be made.
Result<LoadResult> run_load(const LoadOptions& options);

// The template's text with a random UUID for each {{uuid}} and the Unix time for each {{now}}.
std::string fill_template(const std::string& text);

}  // namespace avseal::cli
