// What the avatar-id certificate speaks for, against what the IMS ASs may ask to be signed.
#include <algorithm>
#include <charconv>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "cli/doctor/checks.hpp"
#include "cli/object_input.hpp"

namespace avseal::doctor {
namespace {

constexpr const char* certify = "have the key certified for them too, or take them out of the client's scope";

std::int64_t number(std::string_view digits) {
  std::int64_t value = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), value);
  return value;
}

// The first number of the range that no entry of the list has; nothing if all are there. Numbers have at most 15
// digits.
std::optional<std::string> first_missing(const http::NumberRange& range, const std::vector<tokens::TnRange>& list) {
  const auto width = range.first.size();
  const auto last = number(range.last);
  auto next = number(range.first);
  while (next <= last) {
    const auto covering = std::find_if(list.begin(), list.end(), [&](const tokens::TnRange& entry) {
      const auto start = number(entry.start);
      return entry.start.size() == width && start <= next && next - start < entry.count;
    });
    if (covering == list.end()) return fmt::format("{:0{}}", next, width);
    next = number(covering->start) + covering->count;
  }
  return std::nullopt;
}

void check_client(const http::Client& client, const tokens::Certificate& certificate, Findings& findings) {
  std::vector<std::string> domains;
  const auto& names = certificate.san_dns();
  for (const auto& domain : client.domains) {
    if (std::find(names.begin(), names.end(), domain) == names.end()) domains.push_back(domain);
  }
  if (!domains.empty()) {
    findings.warning("names-domain", client.id,
                     fmt::format("the client may speak for {}, the certificate has {}", fmt::join(domains, ", "),
                                 names.empty() ? "no dNSName" : fmt::format("{}", fmt::join(names, ", "))),
                     "every domain of the client among the certificate's dNSNames, or others refuse what is signed",
                     certify);
  }
  std::vector<std::string> numbers;
  for (const auto& range : client.numbers) {
    const auto missing = first_missing(range, certificate.tn_auth_list());
    if (missing) numbers.push_back(fmt::format("{} of {}-{}", *missing, range.first, range.last));
  }
  if (!numbers.empty()) {
    findings.warning(
        "names-number", client.id, fmt::format("not in the certificate's TNAuthList: {}", fmt::join(numbers, ", ")),
        "every number of the client in the certificate's TNAuthList, or others refuse what is signed", certify);
  }
  if (domains.empty() && numbers.empty()) findings.ok("names", client.id, "the certificate covers its scope");
}

}  // namespace

void check_names(const Site& site, Findings& findings) {
  if (!site.config) return;
  for (const auto& key : site.config->keyring.keys) {
    if (key.kind != keyring::KeyKind::avatar_id || !key.primary) continue;
    const auto text = cli::read_file(key.certificate.string());
    const auto certificate = text ? tokens::Certificate::from_pem(*text) : Result<tokens::Certificate>(text.error());
    if (!certificate) continue;
    for (const auto& entry : site.config->clients) {
      if (entry.client.role == http::ClientRole::ims_as) check_client(entry.client, *certificate, findings);
    }
  }
}

}  // namespace avseal::doctor
