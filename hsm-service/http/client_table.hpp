#pragma once

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "tokens/certificate.hpp"
#include "tokens/impu.hpp"
#include "tokens/passport.hpp"

namespace avseal::http {

enum class ClientRole { ims_as, xr_as, feeder, operator_, auditor };
std::string_view to_string(ClientRole role);  // "ims-as", "xr-as", "feeder", "operator", "auditor"
Result<ClientRole> parse_client_role(std::string_view text);

enum class MsDialect { ts24229, atis1000082 };

struct NumberRange {  // inclusive, same number of digits
  std::string first;
  std::string last;
  [[nodiscard]] bool contains(std::string_view tn) const;
};

// An authenticated caller and its scope. Empty lists allow nothing.
struct Client {
  std::string id;
  ClientRole role = ClientRole::auditor;

  // ims-as
  std::vector<std::string> domains;  // hosts of SIP identities it may speak for
  std::vector<NumberRange> numbers;
  tokens::Attest max_attest = tokens::Attest::b;
  MsDialect dialect = MsDialect::ts24229;

  // xr-as
  std::string nf_instance_id;  // uuid; also in its certificate as SAN urn:uuid:
  std::string xr_as_id;        // `aud` of UE tokens
  std::vector<std::string> applications;
  std::string capif_security_id;  // {securityId} of its CAPIF context; empty: CAPIF form not allowed

  // feeder
  std::vector<std::string> owner_domains;  // hosts of owners; tel owners by `numbers`

  [[nodiscard]] bool covers(const tokens::Impu& impu) const;         // domains or numbers
  [[nodiscard]] bool covers_owner(const tokens::Impu& owner) const;  // owner_domains or numbers
};

struct ClientEntry {
  Client client;
  std::string san_uri;  // exactly one of the three
  std::string san_dns;
  std::string sha256_hex;
};

// Consulted per request. Nobody is allowed by default.
class ClientTable {
 public:
  // Two entries that match one certificate are an error.
  static Result<std::shared_ptr<const ClientTable>> create(std::vector<ClientEntry> entries);
  // The entry that the certificate matches; nullptr if none, or if several do.
  [[nodiscard]] const Client* find(const tokens::Certificate& certificate) const;

 private:
  std::vector<ClientEntry> entries_;
  std::unordered_map<std::string, std::size_t> by_key_;
};

}  // namespace avseal::http
