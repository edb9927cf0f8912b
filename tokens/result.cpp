#include "tokens/result.hpp"

#include <stdexcept>

namespace avseal {

void throw_exception_from_error(const Error& error, const boost::source_location& location) {
  throw std::logic_error("value() of a failed Result at " + location.to_string() + ": " + std::string(error.reason) +
                         ": " + error.detail);
}

namespace errors {

Error make(Category category, std::string_view reason, std::string detail, std::string param) {
  return Error{category, reason, std::move(detail), std::move(param), std::chrono::seconds{0}};
}

}  // namespace errors

}  // namespace avseal
