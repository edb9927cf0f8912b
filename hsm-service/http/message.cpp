#include "http/message.hpp"

#include <array>

#include <boost/json.hpp>

namespace avseal::http {

namespace {

constexpr std::array<std::pair<std::string_view, Method>, 5> methods{{{"GET", Method::get},
                                                                      {"HEAD", Method::head},
                                                                      {"PUT", Method::put},
                                                                      {"POST", Method::post},
                                                                      {"DELETE", Method::del}}};

}  // namespace

std::string_view to_string(Method method) {
  for (const auto& [name, value] : methods) {
    if (value == method) return name;
  }
  return "";
}

std::optional<Method> parse_method(std::string_view text) {
  for (const auto& [name, value] : methods) {
    if (name == text) return value;
  }
  return std::nullopt;
}

std::optional<std::string_view> Request::header(std::string_view lower_name) const {
  for (const auto& [name, value] : headers) {
    if (name == lower_name) return value;
  }
  return std::nullopt;
}

Response Response::json(unsigned status, const boost::json::value& value) {
  return text(status, "application/json", boost::json::serialize(value));
}

Response Response::text(unsigned status, std::string_view content_type, std::string body) {
  Response response;
  response.status = status;
  response.headers.emplace_back("content-type", content_type);
  response.body = std::move(body);
  return response;
}

Response Response::empty(unsigned status) {
  Response response;
  response.status = status;
  return response;
}

void Response::set(std::string_view lower_name, std::string value) {
  for (auto& [name, old] : headers) {
    if (name == lower_name) {
      old = std::move(value);
      return;
    }
  }
  headers.emplace_back(lower_name, std::move(value));
}

}  // namespace avseal::http
