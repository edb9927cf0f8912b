#include "device/enrollment_messages.hpp"

#include <algorithm>

#include "device/errors.hpp"
#include "tokens/base64.hpp"
#include "tokens/json.hpp"

namespace avseal::device {

namespace {

namespace json = boost::json;
using tokens::base64url_encode;

constexpr std::size_t id_size = 16;
constexpr std::size_t nonce_size = 32;
constexpr std::size_t most_certificates = 8;

Error malformed(std::string_view why) {
  return errors::answer_malformed(why);
}

Result<Bytes> decoded(std::string_view text, std::string_view name) {
  auto bytes = tokens::base64url_decode(text);
  if (!bytes) return malformed(std::string(name) + " is not base64url without padding");
  return bytes;
}

Result<Bytes> bytes_of(tokens::ObjectReader& reader, std::string_view name) {
  AVSEAL_TRY(const std::string_view text, reader.string(name));
  return decoded(text, name);
}

Result<std::vector<std::uint32_t>> parse_pcrs(tokens::ObjectReader& reader) {
  AVSEAL_TRY(const json::array* list, reader.array("pcrs"));
  std::vector<std::uint32_t> pcrs;
  for (const json::value& entry : *list) {
    const std::int64_t* number = entry.if_int64();
    if (number == nullptr || *number < 0 || *number >= tpm::pcr_count)
      return malformed("pcrs are numbers from 0 to 23");
    pcrs.push_back(static_cast<std::uint32_t>(*number));
  }
  std::sort(pcrs.begin(), pcrs.end());
  if (pcrs.empty() || std::adjacent_find(pcrs.begin(), pcrs.end()) != pcrs.end()) {
    return malformed("pcrs names each PCR once, and at least one");
  }
  return pcrs;
}

json::object rendered(const tpm::Attestation& attestation) {
  return {{"attest", base64url_encode(attestation.attest)}, {"signature", base64url_encode(attestation.signature)}};
}

}  // namespace

std::string render(const ChallengeRequest& request) {
  json::object root{{"impu", request.impu},
                    {"ak", base64url_encode(request.ak)},
                    {"key", base64url_encode(request.key)},
                    {"parent", base64url_encode(request.parent)}};
  if (!request.ek) {
    root["device"] = request.device;
    return tokens::canonical_json(root);
  }
  const auto& given = *request.ek;
  json::object ek{{"certificate", base64url_encode(given.certificate)}};
  if (!given.chain.empty()) {
    json::array chain;
    for (const Bytes& certificate : given.chain) chain.emplace_back(base64url_encode(certificate));
    ek["chain"] = std::move(chain);
  }
  if (given.platform_certificate) ek["platformCertificate"] = base64url_encode(*given.platform_certificate);
  root["ek"] = std::move(ek);
  if (!given.code.empty()) root["code"] = given.code;
  if (!given.serial.empty()) root["serial"] = given.serial;
  return tokens::canonical_json(root);
}

Result<Challenge> parse_challenge(std::string_view body) {
  AVSEAL_TRY(const json::value value, tokens::parse_json(body, {.size = enrollment_body_max, .depth = 4}));
  AVSEAL_TRY(auto root, tokens::ObjectReader::open(value));
  Challenge challenge;
  AVSEAL_TRY(const std::string_view id, root.string("id"));
  AVSEAL_TRY(const Bytes id_bytes, decoded(id, "id"));
  if (id_bytes.size() != id_size) return malformed("id has 16 bytes");
  challenge.id = id;
  AVSEAL_TRY(challenge.nonce, bytes_of(root, "nonce"));
  if (challenge.nonce.size() != nonce_size) return malformed("nonce has 32 bytes");
  AVSEAL_TRY(challenge.server, root.string("server"));
  AVSEAL_TRY(challenge.expires, root.integer("expires"));
  AVSEAL_TRY(auto credential, root.optional_object("credential"));
  if (credential) {
    tpm::Credential given;
    AVSEAL_TRY(given.blob, bytes_of(*credential, "blob"));
    AVSEAL_TRY(given.secret, bytes_of(*credential, "secret"));
    AVSEAL_CHECK(credential->finish());
    challenge.credential = std::move(given);
  }
  if (root.has("pcrs")) {
    AVSEAL_TRY(challenge.pcrs, parse_pcrs(root));
  }
  AVSEAL_CHECK(root.finish());
  return challenge;
}

std::string render(const CertificateDemand& demand) {
  json::object root{{"csr", base64url_encode(demand.csr)}, {"certify", rendered(demand.certify)}};
  if (demand.secret) root["secret"] = base64url_encode(demand.secret->reveal());
  if (demand.quote) {
    json::object quote = rendered(demand.quote->attestation);
    json::object pcrs;
    for (const auto& [pcr, value_of_pcr] : demand.quote->pcrs) {
      pcrs[std::to_string(pcr)] = tokens::hex_encode(value_of_pcr);
    }
    quote["pcrs"] = std::move(pcrs);
    root["quote"] = std::move(quote);
  }
  return tokens::canonical_json(root);
}

Result<IssuedCertificate> parse_issued(std::string_view body) {
  AVSEAL_TRY(const json::value value, tokens::parse_json(body, {.size = enrollment_body_max, .depth = 4}));
  AVSEAL_TRY(auto root, tokens::ObjectReader::open(value));
  IssuedCertificate issued;
  AVSEAL_TRY(const auto certificates, root.strings("certificates"));
  if (certificates.empty() || certificates.size() > most_certificates)
    return malformed("certificates has 1 to 8 of them");
  for (const std::string& certificate : certificates) {
    issued.chain += certificate;
    if (!certificate.ends_with('\n')) issued.chain += '\n';
  }
  AVSEAL_TRY(issued.device, root.string("device"));
  const auto device = tokens::hex_decode(issued.device);
  if (!device || device->size() != nonce_size) return malformed("device has 64 hex digits");
  AVSEAL_TRY(issued.renew_after, root.integer("renewAfter"));
  AVSEAL_CHECK(root.finish());
  return issued;
}

}  // namespace avseal::device
