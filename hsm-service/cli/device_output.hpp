// What `avseal device` sends and prints.
#pragma once

#include <initializer_list>
#include <string>

#include <boost/json.hpp>

#include "tokens/result.hpp"

namespace avseal::cli {

// The body of a node's answer. Reason "answer-unusable".
Result<boost::json::value> parse_answer(std::string_view body);

std::string query_value(std::string_view text);  // percent-encoded
// The text of a member, "-" if there is none.
std::string member_text(const boost::json::value& object, std::string_view name);

// Adds the devices of a page; gives where the next one begins, or nothing.
Result<std::string> take_page(const boost::json::value& page, boost::json::array& devices);

void print_devices(const boost::json::array& devices);
void print_device(const boost::json::value& device);
// One line for each object in `member`, with a heading.
Result<void> print_rows(const boost::json::value& answer, std::string_view member,
                        std::initializer_list<std::string_view> columns);

// {"document", "signature"} of two files. Reason "document-unreadable".
Result<boost::json::object> manifest_body(const std::string& file, const std::string& signature);

}  // namespace avseal::cli
