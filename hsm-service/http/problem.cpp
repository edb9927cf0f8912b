#include <boost/json.hpp>

#include "http/router.hpp"

namespace avseal::http {

namespace {

std::string_view title_of(Category category) {
  switch (category) {
    case Category::bad_request:
      return "Bad request";
    case Category::invalid:
      return "Value not acceptable";
    case Category::unauthenticated:
      return "Not authenticated";
    case Category::forbidden:
      return "Not allowed";
    case Category::not_found:
      return "Not found";
    case Category::method_not_allowed:
      return "Method not allowed";
    case Category::not_acceptable:
      return "Not acceptable";
    case Category::conflict:
      return "Conflict";
    case Category::length_required:
      return "Length required";
    case Category::precondition_failed:
      return "Precondition failed";
    case Category::too_large:
      return "Content too large";
    case Category::unsupported_media_type:
      return "Unsupported media type";
    case Category::unprocessable:
      return "Unprocessable content";
    case Category::range_not_satisfiable:
      return "Range not satisfiable";
    case Category::precondition_required:
      return "Precondition required";
    case Category::too_many_requests:
      return "Too many requests";
    case Category::header_too_large:
      return "Header too large";
    case Category::timeout:
      return "Deadline passed";
    case Category::unavailable:
      return "Unavailable";
    case Category::internal:
      return "Internal error";
  }
  return "Internal error";
}

bool is_query(const Error& error) {
  return error.param.starts_with("query ");
}

}  // namespace

unsigned status_of(Category category) {
  switch (category) {
    case Category::bad_request:
      return 400;
    case Category::invalid:
      return 400;
    case Category::unauthenticated:
      return 401;
    case Category::forbidden:
      return 403;
    case Category::not_found:
      return 404;
    case Category::method_not_allowed:
      return 405;
    case Category::not_acceptable:
      return 406;
    case Category::conflict:
      return 409;
    case Category::length_required:
      return 411;
    case Category::precondition_failed:
      return 412;
    case Category::too_large:
      return 413;
    case Category::unsupported_media_type:
      return 415;
    case Category::unprocessable:
      return 422;
    case Category::range_not_satisfiable:
      return 416;
    case Category::precondition_required:
      return 428;
    case Category::too_many_requests:
      return 429;
    case Category::header_too_large:
      return 431;
    case Category::timeout:
      return 503;
    case Category::unavailable:
      return 503;
    case Category::internal:
      return 500;
  }
  return 500;
}

std::string_view cause_of(const Error& error) {
  switch (error.category) {
    case Category::bad_request:
      if (is_query(error)) return "INVALID_QUERY_PARAM";
      if (error.reason == "member-missing") return "MANDATORY_IE_MISSING";
      return "INVALID_MSG_FORMAT";
    case Category::invalid:
      return is_query(error) ? "MANDATORY_QUERY_PARAM_INCORRECT" : "MANDATORY_IE_INCORRECT";
    case Category::forbidden:
      return "MODIFICATION_NOT_ALLOWED";
    case Category::not_found:
      return "RESOURCE_URI_STRUCTURE_NOT_FOUND";
    case Category::length_required:
      return "INCORRECT_LENGTH";
    case Category::too_many_requests:
      return "NF_CONGESTION_RISK";
    case Category::timeout:
    case Category::unavailable:
      return "NF_CONGESTION";
    case Category::internal:
      return "SYSTEM_FAILURE";
    default:
      return "UNSPECIFIED_MSG_FAILURE";
  }
}

Response render_problem(const Request& request, const Error& error) {
  const unsigned status = status_of(error.category);
  boost::json::object problem{{"type", "about:blank"},
                              {"title", title_of(error.category)},
                              {"status", status},
                              {"detail", error.detail},
                              {"cause", cause_of(error)},
                              {"reason", error.reason},
                              {"instance", "urn:request:" + request.request_id}};
  if (!error.param.empty()) {
    problem["invalidParams"] = boost::json::array{{{"param", error.param}, {"reason", error.detail}}};
  }
  Response response = Response::json(status, problem);
  response.set("content-type", "application/problem+json");
  return response;
}

}  // namespace avseal::http
