// The DAC's body and headers: what is taken must be within its bounds.
#include <cstdlib>

#include "dac/request_forms.hpp"
#include "tokens/json.hpp"

namespace {

void require(bool good) {
  if (!good) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace avseal;
  if (size == 0) return 0;
  const std::string text(reinterpret_cast<const char*>(data + 1), size - 1);
  http::Request request;
  switch (data[0] % 4) {
    case 0:
      if (const auto publication = dac::parse_publication(text)) {
        require(publication->content_digest.size() == 8 + 44);
        require(tokens::canonical_json(publication->members).size() <= 4 * 1024);
        require(!publication->members.contains("version"));
      }
      break;
    case 1:
      request.headers = {{"content-digest", text}};
      (void)dac::parse_content_digest(request);
      break;
    case 2:
      request.headers = {{"range", text}};
      for (const std::uint64_t content : {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{70'000}})
        if (const auto range = dac::parse_range(request, content); range && *range)
          require((*range)->first <= (*range)->last && (*range)->last < content);
      break;
    default:
      request.headers = {{"if-match", text}, {"content-type", text}};
      if (const auto version = dac::parse_precondition(request)) require(*version > 0 && dac::etag(*version) == text);
      (void)dac::media_type(request);
  }
  return 0;
}
