#include "signing/ms_errors.hpp"

#include <algorithm>

#include "http/router.hpp"

namespace avseal::signing {
namespace {

namespace json = boost::json;

constexpr std::size_t max_request_id = 128;

struct MsException {
  unsigned status;
  bool policy;
  std::string_view id;
  std::string_view text;
  json::array variables;
};

// "/signingRequest/orig/tn" -> "orig.tn"; anything else as it is.
std::string parameter_name(const Error& error) {
  std::string_view pointer = error.param;
  if (!pointer.starts_with('/')) return std::string(pointer);
  pointer.remove_prefix(1);
  if (const auto slash = pointer.find('/'); slash != std::string_view::npos) pointer.remove_prefix(slash + 1);
  std::string name(pointer);
  std::replace(name.begin(), name.end(), '/', '.');
  return name;
}

MsException bad_value(const Error& error) {
  if (error.reason == "body-missing") return {400, false, "SVC4000", "Missing request body", {}};
  if (error.reason == "member-missing") {
    return {400, false, "SVC4001", "Missing mandatory parameter '%1'", {parameter_name(error)}};
  }
  if (error.reason.starts_with("json-")) {
    return {400, false, "SVC4006", "Failed to parse received message body: %1", {error.detail}};
  }
  return {400, false, "SVC4005", "Invalid '%1' parameter value: %2", {parameter_name(error), error.detail}};
}

MsException exception_of(const http::Request& request, const Error& error) {
  switch (error.category) {
    case Category::bad_request:
    case Category::invalid:
      return bad_value(error);
    case Category::not_acceptable:
      return {406,
              false,
              "SVC4002",
              "Requested response body type '%1' is not supported",
              {std::string(request.header("accept").value_or(""))}};
    case Category::not_found:
      return {404, false, "SVC4003", "Requested resource was not found", {}};
    case Category::unsupported_media_type:
      return {415, false, "SVC4004", "Unsupported request body type, expected '%1'", {"application/json"}};
    case Category::length_required:
      return {411, false, "SVC4007", "Missing mandatory Content-Length header", {}};
    case Category::too_large:
      return {413, false, "SVC4006", "Failed to parse received message body: %1", {error.detail}};
    case Category::unauthenticated:
      return {401, true, "POL4010", "Client not authenticated: %1", {error.detail}};
    case Category::forbidden:
      return {403, true, "POL4030", "Not allowed by policy: %1", {error.detail}};
    case Category::method_not_allowed:
      return {405, true, "POL4050", "Method not allowed", {}};
    case Category::conflict:
      return {409, false, "SVC4090", "Conflict with another request: %1", {std::string(error.reason)}};
    case Category::unprocessable:
      return {422, false, "SVC4220", "Not possible after an earlier request: %1", {std::string(error.reason)}};
    case Category::too_many_requests:
      return {429, true, "POL4290", "Too many requests: %1", {std::string(error.reason)}};
    case Category::internal:
      return {500, true, "POL5000", "Internal Server Error. Please try again later", {}};
    default:
      return {http::status_of(error.category),
              false,
              "SVC5030",
              "Service temporarily not available: %1",
              {std::string(error.reason)}};
  }
}

std::string_view trim(std::string_view text) {
  const auto first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

std::string_view next(std::string_view& rest, char separator) {
  const auto end = rest.find(separator);
  const auto item = trim(rest.substr(0, end));
  rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
  return item;
}

bool excluded(std::string_view parameters) {
  while (!parameters.empty()) {
    const auto parameter = next(parameters, ';');
    if ((parameter.starts_with("q=") || parameter.starts_with("Q=")) &&
        parameter.find_first_of("123456789") == std::string_view::npos) {
      return true;
    }
  }
  return false;
}

}  // namespace

http::Response ms_error(const http::Request& request, const Error& error) {
  auto exception = exception_of(request, error);
  json::object body{
      {"messageId", exception.id}, {"text", exception.text}, {"variables", std::move(exception.variables)}};
  body["reason"] = error.reason;
  const std::string_view kind = exception.policy ? "policyException" : "serviceException";
  auto response =
      http::Response::json(exception.status, json::object{{"requestError", json::object{{kind, std::move(body)}}}});
  echo_request_id(request, response);
  return response;
}

void echo_request_id(const http::Request& request, http::Response& response) {
  const auto given = request.header("x-requestid");
  const bool usable = given && !given->empty() && given->size() <= max_request_id &&
                      std::all_of(given->begin(), given->end(), [](char c) { return c > ' ' && c < '\x7f'; });
  response.headers.emplace_back("x-requestid", usable ? std::string(*given) : request.request_id);
}

Result<void> check_accept(const http::Request& request) {
  const auto accept = request.header("accept");
  if (!accept) return {};
  std::string_view rest = *accept;
  while (!rest.empty()) {
    std::string_view range = next(rest, ',');
    std::string type(next(range, ';'));
    std::transform(type.begin(), type.end(), type.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
    if ((type == "application/json" || type == "application/*" || type == "*/*") && !excluded(range)) return {};
  }
  return errors::make(Category::not_acceptable, "not-acceptable",
                      "expected an Accept header that allows application/json", "header Accept");
}

}  // namespace avseal::signing
