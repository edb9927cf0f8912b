#include "http/errors.hpp"

#include <fmt/format.h>

namespace avseal::http::errors {

Error body_too_large(std::uint64_t limit) {
  return make(Category::too_large, "body-too-large", fmt::format("at most {} bytes are accepted here", limit));
}

Error body_unexpected() {
  return make(Category::bad_request, "body-unexpected", "this request takes no content");
}

Error body_late() {
  return make(Category::timeout, "deadline", "the request's content did not arrive in time");
}

Error body_truncated() {
  return make(Category::bad_request, "body-truncated", "the connection ended before the content did");
}

Error too_many_headers(std::size_t limit) {
  return make(Category::header_too_large, "too-many-headers",
              fmt::format("at most {} header fields are accepted", limit));
}

Error header_list_too_large(std::size_t limit) {
  return make(Category::header_too_large, "header-list-too-large",
              fmt::format("at most {} bytes of header fields are accepted", limit));
}

Error header_malformed() {
  return make(Category::bad_request, "header-malformed", "a header field has characters that are not allowed");
}

Error message_malformed(std::string detail) {
  return make(Category::bad_request, "message-malformed", std::move(detail));
}

}  // namespace avseal::http::errors
