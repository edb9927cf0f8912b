// Idempotency-Key: what is accepted is short and printable, and escaping it gives the header again.
#include <cstdlib>

#include "http/idempotency_key.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string value(avseal::as_text({data, size}));
  avseal::http::Request request;
  request.headers.emplace_back("idempotency-key", value);
  const auto key = avseal::http::idempotency_key(request);
  if (!key) return 0;
  if (!*key || (*key)->empty() || (*key)->size() > 64) std::abort();
  std::string again = "\"";
  for (const char c : **key) {
    if (c < ' ' || c > '~') std::abort();
    if (c == '"' || c == '\\') again += '\\';
    again += c;
  }
  if (again + "\"" != value) std::abort();
  return 0;
}
