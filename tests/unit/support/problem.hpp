#pragma once

#include <boost/json.hpp>

#include "http/message.hpp"

namespace avseal::test {

// The reason in a problem+json answer; empty if there is none.
inline std::string reason_of(const http::Response& response) {
  boost::system::error_code error;
  const auto body = boost::json::parse(response.body, error);
  const auto* object = body.if_object();
  const auto* reason = object == nullptr ? nullptr : object->if_contains("reason");
  return reason == nullptr ? std::string() : std::string(reason->as_string());
}

}  // namespace avseal::test
