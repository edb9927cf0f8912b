#include "http/client_table.hpp"

#include <algorithm>
#include <array>

#include <boost/algorithm/string/case_conv.hpp>
#include <boost/algorithm/string/predicate.hpp>
#include <fmt/format.h>

#include "tokens/base64.hpp"

namespace avseal::http {

namespace {

constexpr std::array<std::pair<std::string_view, ClientRole>, 5> role_names{{{"ims-as", ClientRole::ims_as},
                                                                             {"xr-as", ClientRole::xr_as},
                                                                             {"feeder", ClientRole::feeder},
                                                                             {"operator", ClientRole::operator_},
                                                                             {"auditor", ClientRole::auditor}}};

std::string uri_key(std::string_view uri) {
  return "uri " + std::string(uri);
}
std::string dns_key(std::string_view name) {
  return "dns " + boost::algorithm::to_lower_copy(std::string(name));
}
std::string digest_key(std::string_view hex) {
  return "sha256 " + boost::algorithm::to_lower_copy(std::string(hex));
}

bool has_host(const std::vector<std::string>& domains, std::string_view host) {
  return std::any_of(domains.begin(), domains.end(),
                     [&](const std::string& domain) { return boost::algorithm::iequals(domain, host); });
}

bool in_scope(const std::vector<std::string>& domains, const std::vector<NumberRange>& numbers,
              const tokens::Impu& impu) {
  if (!impu.is_tel()) return has_host(domains, impu.host());
  const std::string tn = impu.tn();
  return std::any_of(numbers.begin(), numbers.end(), [&](const NumberRange& range) { return range.contains(tn); });
}

Error bad_entry(const ClientEntry& entry, std::string detail) {
  return errors::make(Category::invalid, "client-entry-invalid",
                      fmt::format("client '{}': {}", entry.client.id, detail));
}

Result<std::string> key_of(const ClientEntry& entry) {
  const int given =
      (entry.san_uri.empty() ? 0 : 1) + (entry.san_dns.empty() ? 0 : 1) + (entry.sha256_hex.empty() ? 0 : 1);
  if (given != 1)
    return bad_entry(
        entry, fmt::format("exactly one of san_uri, san_dns and sha256 names its certificate, {} were given", given));
  if (!entry.san_uri.empty()) return uri_key(entry.san_uri);
  if (!entry.san_dns.empty()) return dns_key(entry.san_dns);
  const auto digest = tokens::hex_decode(entry.sha256_hex);
  if (!digest || digest->size() != 32) return bad_entry(entry, "sha256 must be 64 hexadecimal digits");
  return digest_key(entry.sha256_hex);
}

}  // namespace

std::string_view to_string(ClientRole role) {
  for (const auto& [name, value] : role_names) {
    if (value == role) return name;
  }
  return "";
}

Result<ClientRole> parse_client_role(std::string_view text) {
  for (const auto& [name, value] : role_names) {
    if (name == text) return value;
  }
  return errors::make(Category::invalid, "client-role-unknown",
                      fmt::format("'{}' is no role: expected ims-as, xr-as, feeder, operator or auditor", text));
}

bool NumberRange::contains(std::string_view tn) const {
  return tn.size() == first.size() && tn.size() == last.size() && first <= tn && tn <= last;
}

bool Client::covers(const tokens::Impu& impu) const {
  return in_scope(domains, numbers, impu);
}
bool Client::covers_owner(const tokens::Impu& owner) const {
  return in_scope(owner_domains, numbers, owner);
}

Result<std::shared_ptr<const ClientTable>> ClientTable::create(std::vector<ClientEntry> entries) {
  auto table = std::make_shared<ClientTable>();
  for (std::size_t i = 0; i < entries.size(); ++i) {
    const ClientEntry& entry = entries[i];
    if (entry.client.id.empty()) return bad_entry(entry, "an id is needed");
    const auto same_id = [&](const ClientEntry& other) { return other.client.id == entry.client.id; };
    if (std::any_of(entries.begin(), entries.begin() + static_cast<std::ptrdiff_t>(i), same_id)) {
      return bad_entry(entry, "the id is used twice");
    }
    for (const NumberRange& range : entry.client.numbers) {
      if (range.first.empty() || range.first.size() != range.last.size() || range.first > range.last) {
        return bad_entry(entry, fmt::format("number range {}..{} must be of equally long numbers in order", range.first,
                                            range.last));
      }
    }
    AVSEAL_TRY(const std::string key, key_of(entry));
    const auto [place, fresh] = table->by_key_.emplace(key, i);
    if (!fresh) {
      return bad_entry(entry, fmt::format("matches the same certificate ({}) as client '{}'", key,
                                          entries[place->second].client.id));
    }
  }
  table->entries_ = std::move(entries);
  return std::shared_ptr<const ClientTable>(std::move(table));
}

const Client* ClientTable::find(const tokens::Certificate& certificate) const {
  const Client* found = nullptr;
  bool ambiguous = false;
  const auto look_up = [&](const std::string& key) {
    const auto place = by_key_.find(key);
    if (place == by_key_.end()) return;
    const Client* client = &entries_[place->second].client;
    if (found && found != client) ambiguous = true;
    found = client;
  };
  for (const std::string& uri : certificate.san_uris()) look_up(uri_key(uri));
  for (const std::string& name : certificate.san_dns()) look_up(dns_key(name));
  look_up(digest_key(certificate.sha256_hex()));
  return ambiguous ? nullptr : found;
}

}  // namespace avseal::http
