// Request targets: what is accepted is decoded once, printable, and free of empty and dot segments.
#include <cstdlib>

#include "http/target.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto target = avseal::http::parse_target(avseal::as_text({data, size}));
  if (!target) return 0;
  const std::string& path = target->path;
  if (path.empty() || path.front() != '/') std::abort();
  if (path.find("//") != std::string::npos || (path + "/").find("/../") != std::string::npos) std::abort();
  for (const char c : path) {
    if (c < 0x20 || c > 0x7e) std::abort();
  }
  if (target->query.size() > 16) std::abort();
  return 0;
}
