#include "cli/device_output.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <ctime>
#include <fstream>
#include <iterator>

#include <boost/url/encode.hpp>
#include <boost/url/rfc/unreserved_chars.hpp>
#include <fmt/format.h>

#include "tokens/base64.hpp"
#include "tokens/json.hpp"

namespace avseal::cli {
namespace {

Error unusable(std::string_view why) {
  return errors::make(Category::internal, "answer-unusable", fmt::format("the node's answer {}", why));
}

std::string time_text(const boost::json::value& object, std::string_view name) {
  const auto* member = object.is_object() ? object.get_object().if_contains(name) : nullptr;
  if (member == nullptr || !member->is_int64()) return "-";
  const std::time_t seconds = member->get_int64();
  std::tm parts{};
  std::array<char, 32> text{};
  gmtime_r(&seconds, &parts);
  return {text.data(), std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &parts)};
}

Result<std::string> read_file(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  std::string text{std::istreambuf_iterator<char>(in), {}};
  if (!in.is_open() || in.bad()) {
    return errors::make(Category::invalid, "document-unreadable", file + " cannot be read");
  }
  return text;
}

}  // namespace

Result<boost::json::value> parse_answer(std::string_view body) {
  return tokens::parse_json(body, {.size = 4 * 1024 * 1024, .depth = 16});
}

std::string query_value(std::string_view text) {
  return boost::urls::encode(text, boost::urls::unreserved_chars);
}

std::string member_text(const boost::json::value& object, std::string_view name) {
  const auto* member = object.is_object() ? object.get_object().if_contains(name) : nullptr;
  if (member == nullptr) return "-";
  if (member->is_string()) return member->get_string().empty() ? "-" : std::string(member->get_string());
  return boost::json::serialize(*member);
}

Result<std::string> take_page(const boost::json::value& page, boost::json::array& devices) {
  const auto* list = page.is_object() ? page.get_object().if_contains("devices") : nullptr;
  if (list == nullptr || !list->is_array()) return unusable("holds no devices");
  devices.insert(devices.end(), list->get_array().begin(), list->get_array().end());
  const auto next = member_text(page, "next");
  return next == "-" ? std::string() : next;
}

void print_devices(const boost::json::array& devices) {
  constexpr std::string_view row = "{:<64} {:<8} {:<16} {:<16} {:<16} {:<20} {}\n";
  fmt::print(row, "ID", "STATE", "MAKER", "MODEL", "BATCH", "LAST SEEN", "WHY");
  for (const auto& device : devices) {
    fmt::print(row, member_text(device, "id"), member_text(device, "state"), member_text(device, "maker"),
               member_text(device, "model"), member_text(device, "batch"), time_text(device, "lastSeen"),
               member_text(device, "why"));
  }
}

void print_device(const boost::json::value& device) {
  for (const char* name :
       {"id", "state", "why", "maker", "model", "batch", "serialSha256", "tpm", "firmware", "akName"}) {
    fmt::print("{:<14} {}\n", name, member_text(device, name));
  }
  for (const char* name : {"akSince", "firstSeen", "lastSeen"})
    fmt::print("{:<14} {}\n", name, time_text(device, name));
  const auto& members = device.as_object();
  if (const auto* impus = members.if_contains("impus"); impus != nullptr && impus->is_array()) {
    for (const auto& impu : impus->get_array()) fmt::print("{:<14} {}\n", "impu", std::string_view(impu.as_string()));
  }
  const auto* certificates = members.if_contains("certificates");
  if (certificates == nullptr || !certificates->is_array()) return;
  for (const auto& certificate : certificates->get_array()) {
    fmt::print("{:<14} {} serial {} until {}", "certificate", member_text(certificate, "impu"),
               member_text(certificate, "serial"), time_text(certificate, "notAfter"));
    const auto cause = member_text(certificate, "cause");
    fmt::print("{}\n", cause == "-" ? "" : fmt::format(", {} {}", cause, time_text(certificate, "revokedAt")));
  }
}

Result<void> print_rows(const boost::json::value& answer, std::string_view member,
                        std::initializer_list<std::string_view> columns) {
  const auto* list = answer.is_object() ? answer.get_object().if_contains(member) : nullptr;
  if (list == nullptr || !list->is_array()) return unusable(fmt::format("holds no {}", member));
  for (const auto column : columns) {
    std::string heading(column);
    std::transform(heading.begin(), heading.end(), heading.begin(), [](unsigned char c) { return std::toupper(c); });
    fmt::print("{:<20} ", heading);
  }
  fmt::print("\n");
  for (const auto& row : list->get_array()) {
    for (const auto column : columns) fmt::print("{:<20} ", member_text(row, column));
    fmt::print("\n");
  }
  return {};
}

Result<boost::json::object> manifest_body(const std::string& file, const std::string& signature) {
  AVSEAL_TRY(const auto document, read_file(file));
  AVSEAL_TRY(const auto bytes, read_file(signature));
  return boost::json::object{{"document", document}, {"signature", tokens::base64url_encode(as_bytes(bytes))}};
}

}  // namespace avseal::cli
