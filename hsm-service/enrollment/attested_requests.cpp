#include "enrollment/attested_requests.hpp"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include "tokens/base64.hpp"
#include "tokens/json.hpp"

namespace avseal::enrollment {
namespace {

using tokens::ObjectReader;

constexpr std::size_t max_chain = 4;
constexpr std::size_t max_serial = 64;
constexpr unsigned pcr_count = 24;
constexpr tokens::JsonLimits limits{.size = max_attested_body, .depth = 6};

Error invalid(std::string_view reason, std::string detail, std::string param) {
  return errors::make(Category::bad_request, reason, std::move(detail), std::move(param));
}

Result<Bytes> decode(std::string_view text, std::string pointer) {
  auto bytes = tokens::base64url_decode(text);
  if (!bytes || bytes->empty()) {
    return invalid("base64-invalid", "expected base64url without padding, not empty", std::move(pointer));
  }
  return std::move(*bytes);
}

Result<Bytes> blob(ObjectReader& reader, std::string_view name) {
  AVSEAL_TRY(const auto text, reader.string(name));
  return decode(text, reader.pointer_to(name));
}

Result<std::optional<Bytes>> optional_blob(ObjectReader& reader, std::string_view name) {
  AVSEAL_TRY(const auto text, reader.optional_string(name));
  if (!text) return std::optional<Bytes>();
  AVSEAL_TRY(auto bytes, decode(*text, reader.pointer_to(name)));
  return std::optional(std::move(bytes));
}

Result<EkClaim> read_ek(ObjectReader reader) {
  EkClaim ek;
  AVSEAL_TRY(ek.certificate, blob(reader, "certificate"));
  AVSEAL_TRY(const auto chain, reader.optional_strings("chain"));
  if (chain) {
    if (chain->size() > max_chain) {
      return invalid("member-type", fmt::format("expected at most {} certificates", max_chain),
                     reader.pointer_to("chain"));
    }
    for (const auto& text : *chain) {
      AVSEAL_TRY(auto der, decode(text, reader.pointer_to("chain")));
      ek.chain.push_back(std::move(der));
    }
  }
  AVSEAL_TRY(ek.platform_certificate, optional_blob(reader, "platformCertificate"));
  AVSEAL_CHECK(reader.finish());
  return ek;
}

Result<std::string> read_serial(ObjectReader& reader) {
  AVSEAL_TRY(const auto serial, reader.string("serial"));
  const bool printable = std::all_of(serial.begin(), serial.end(), [](char c) { return c >= 0x20 && c < 0x7f; });
  if (serial.empty() || serial.size() > max_serial || !printable) {
    return invalid("serial-invalid", fmt::format("expected 1 to {} printable ASCII characters", max_serial),
                   reader.pointer_to("serial"));
  }
  return std::string(serial);
}

Result<std::string> read_device(ObjectReader& reader) {
  AVSEAL_TRY(const auto device, reader.string("device"));
  if (!is_device_id(device)) {
    return invalid("device-id-invalid", "expected 64 lower-case hex digits", reader.pointer_to("device"));
  }
  return std::string(device);
}

Result<attestation::SignedAttest> read_attest(ObjectReader& reader) {
  attestation::SignedAttest out;
  AVSEAL_TRY(out.attest, blob(reader, "attest"));
  AVSEAL_TRY(out.signature, blob(reader, "signature"));
  return out;
}

Result<attestation::PcrValues> read_pcrs(ObjectReader reader) {
  attestation::PcrValues out;
  for (const auto& member : reader.raw()) {
    const std::string_view name = member.key();
    unsigned index = 0;
    const auto read = std::from_chars(name.data(), name.data() + name.size(), index);
    const bool canonical = read.ec == std::errc{} && read.ptr == name.data() + name.size() && index < pcr_count &&
                           name == std::to_string(index);
    AVSEAL_TRY(const auto text, reader.string(name));
    const auto value = tokens::hex_decode(text);
    if (!canonical || !value || value->size() != out[index].size()) {
      return invalid("quote-malformed", "expected PCR numbers from 0 to 23 with 64 hex digits each",
                     reader.pointer_to(name));
    }
    std::copy(value->begin(), value->end(), out[index].begin());
  }
  return out;
}

Result<attestation::QuoteEvidence> read_quote(ObjectReader reader) {
  AVSEAL_TRY(auto quote, read_attest(reader));
  AVSEAL_TRY(auto table, reader.object("pcrs"));
  AVSEAL_TRY(auto pcrs, read_pcrs(std::move(table)));
  AVSEAL_CHECK(reader.finish());
  return attestation::QuoteEvidence{std::move(quote), std::move(pcrs)};
}

}  // namespace

bool is_device_id(std::string_view text) {
  return text.size() == 64 &&
         std::all_of(text.begin(), text.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

Result<ChallengeRequest> parse_challenge_request(std::string_view body) {
  AVSEAL_TRY(const auto document, tokens::parse_json(body, limits));
  AVSEAL_TRY(auto reader, ObjectReader::open(document));
  AVSEAL_TRY(const auto impu_text, reader.string("impu"));
  auto impu = tokens::Impu::parse(impu_text);
  if (!impu) {
    auto error = impu.error();
    error.param = reader.pointer_to("impu");
    return error;
  }
  ChallengeRequest out{
      .code = {}, .impu = std::move(*impu), .ek = {}, .serial = {}, .device = {}, .ak = {}, .key = {}, .parent = {}};
  AVSEAL_TRY(auto ek, reader.optional_object("ek"));
  if (ek) {
    AVSEAL_TRY(out.ek, read_ek(std::move(*ek)));
    AVSEAL_TRY(out.serial, read_serial(reader));
    AVSEAL_TRY(const auto code, reader.optional_string("code"));
    if (code) out.code = std::string(*code);
  } else {
    AVSEAL_TRY(out.device, read_device(reader));
  }
  AVSEAL_TRY(out.ak, blob(reader, "ak"));
  AVSEAL_TRY(out.key, blob(reader, "key"));
  AVSEAL_TRY(out.parent, blob(reader, "parent"));
  AVSEAL_CHECK(reader.finish());
  return out;
}

Result<CertificateAnswer> parse_certificate_answer(std::string_view body) {
  AVSEAL_TRY(const auto document, tokens::parse_json(body, limits));
  AVSEAL_TRY(auto reader, ObjectReader::open(document));
  CertificateAnswer out;
  AVSEAL_TRY(out.secret, optional_blob(reader, "secret"));
  AVSEAL_TRY(out.evidence.request, blob(reader, "csr"));
  AVSEAL_TRY(auto certify, reader.optional_object("certify"));
  if (certify) {
    AVSEAL_TRY(out.evidence.certify, read_attest(*certify));
    AVSEAL_CHECK(certify->finish());
  }
  AVSEAL_TRY(auto quote, reader.optional_object("quote"));
  if (quote) {
    AVSEAL_TRY(out.evidence.quote, read_quote(std::move(*quote)));
  }
  AVSEAL_CHECK(reader.finish());
  return out;
}

}  // namespace avseal::enrollment
