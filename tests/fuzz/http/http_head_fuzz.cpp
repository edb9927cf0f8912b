// Header blocks as Requests: "method NUL target NUL name NUL value NUL ...". Names are unique afterwards and the
// request has an id.
#include <cstdlib>
#include <set>

#include "http/target.hpp"

namespace {

std::string take(std::string_view& rest) {
  const std::size_t end = rest.find('\0');
  std::string out(rest.substr(0, end));
  rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view rest = avseal::as_text({data, size});
  const std::string method = take(rest);
  const std::string target = take(rest);
  avseal::http::Request request;
  while (!rest.empty() && request.headers.size() < 64) {
    std::string name = take(rest);
    request.headers.emplace_back(std::move(name), take(rest));
  }
  const auto result = avseal::http::read_head(request, method, target);
  if (request.request_id.empty() || request.request_id.size() > 64) std::abort();
  if (!result) return 0;
  std::set<std::string> names;
  for (const auto& header : request.headers) {
    if (!names.insert(header.first).second) std::abort();
  }
  const auto length = avseal::http::content_length(request);
  if (length && *length && !request.header("content-length")) std::abort();
  return 0;
}
