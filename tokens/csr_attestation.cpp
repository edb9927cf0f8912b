#include "tokens/csr_attestation.hpp"

#include <algorithm>
#include <array>

#include "tokens/der.hpp"
#include "tokens/openssl.hpp"

namespace avseal::tokens {

namespace {

constexpr std::array<std::uint8_t, 11> attribute_oid{0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x09, 0x10, 0x02, 0x3B};
constexpr std::array<std::uint8_t, 5> statement_oid{0x67, 0x81, 0x05, 0x14, 0x01};
constexpr std::uint8_t attributes_tag = 0xA0;
constexpr std::size_t max_request = 16 * 1024;
constexpr std::size_t max_certificates = 8;

Error malformed(std::string_view what) {
  return errors::make(Category::bad_request, "csr-attestation-malformed",
                      "in the attestation attribute of the request: expected " + std::string(what));
}

Error unusable(std::string_view what) {
  return errors::make(Category::invalid, "certificate-request-invalid",
                      "expected " + std::string(what) + " to attest, found another");
}

Bytes join(std::initializer_list<Bytes> parts) {
  Bytes out;
  for (const Bytes& part : parts) out.insert(out.end(), part.begin(), part.end());
  return out;
}

// The parts of a CertificationRequestInfo: what is before the attributes, and each attribute.
struct RequestInfo {
  Bytes head;
  std::vector<Bytes> attributes;

  static std::optional<RequestInfo> read(ByteView info) {
    auto content = der::take(info, der::sequence);
    if (!content || !info.empty()) return std::nullopt;
    RequestInfo result;
    for (const std::uint8_t tag : {der::integer, der::sequence, der::sequence}) {
      const auto part = der::take(*content);
      if (!part || part->tag != tag) return std::nullopt;
      result.head.insert(result.head.end(), part->whole.begin(), part->whole.end());
    }
    auto attributes = der::take(*content, attributes_tag);
    if (!attributes || !content->empty()) return std::nullopt;
    while (!attributes->empty()) {
      const auto attribute = der::take(*attributes);
      if (!attribute || attribute->tag != der::sequence) return std::nullopt;
      result.attributes.emplace_back(attribute->whole.begin(), attribute->whole.end());
    }
    return result;
  }

  // Attributes are a SET OF, which DER sorts.
  [[nodiscard]] Bytes write() const {
    std::vector<Bytes> sorted = attributes;
    std::sort(sorted.begin(), sorted.end());
    Bytes all;
    for (const Bytes& attribute : sorted) all.insert(all.end(), attribute.begin(), attribute.end());
    return der::element(der::sequence, join({head, der::element(attributes_tag, all)}));
  }
};

// The values of an attribute, if it is of this type.
std::optional<ByteView> values_of(ByteView attribute, ByteView oid) {
  auto content = der::take(attribute, der::sequence);
  if (!content) return std::nullopt;
  const auto type = der::take(*content, der::object_identifier);
  if (!type || !std::equal(type->begin(), type->end(), oid.begin(), oid.end())) return std::nullopt;
  return *content;
}

Result<AttestationStatement> read_statement(ByteView statement) {
  const auto type = der::take(statement, der::object_identifier);
  if (!type || !std::equal(type->begin(), type->end(), statement_oid.begin(), statement_oid.end())) {
    return malformed("a statement of type 2.23.133.20.1 (TPM2_Certify)");
  }
  auto fields = der::take(statement, der::sequence);
  if (!fields || !statement.empty()) return malformed("a sequence of octet strings");
  const auto attest = der::take(*fields, der::octet_string);
  const auto signature = der::take(*fields, der::octet_string);
  if (!attest || !signature) return malformed("tpmSAttest and signature");
  AttestationStatement result{{attest->begin(), attest->end()}, {signature->begin(), signature->end()}, {}};
  if (fields->empty()) return result;
  const auto key = der::take(*fields, der::octet_string);
  if (!key || key->empty() || !fields->empty()) return malformed("tpmTPublic and nothing behind it");
  result.key.assign(key->begin(), key->end());
  return result;
}

Result<void> check_certificates(ByteView bundle) {
  if (bundle.empty()) return {};
  auto certificates = der::take(bundle, der::sequence);
  if (!certificates || !bundle.empty()) return malformed("certificates and nothing behind them");
  for (std::size_t count = 0; !certificates->empty(); ++count) {
    if (count == max_certificates || !der::take(*certificates)) return malformed("at most 8 certificates");
  }
  return {};
}

Result<AttestationStatement> read_bundle(ByteView values) {
  auto set = der::take(values, der::set);
  if (!set || !values.empty()) return malformed("one set of values");
  auto bundle = der::take(*set, der::sequence);
  if (!bundle || !set->empty()) return malformed("one AttestationBundle");
  auto statements = der::take(*bundle, der::sequence);
  if (!statements) return malformed("attestations");
  const auto statement = der::take(*statements, der::sequence);
  if (!statement || !statements->empty()) return malformed("one attestation statement");
  AVSEAL_CHECK(check_certificates(*bundle));
  return read_statement(*statement);
}

Bytes attribute_of(const AttestationStatement& statement) {
  const Bytes key = statement.key.empty() ? Bytes() : der::element(der::octet_string, statement.key);
  const Bytes fields = join(
      {der::element(der::octet_string, statement.attest), der::element(der::octet_string, statement.signature), key});
  const Bytes one = der::element(
      der::sequence, join({der::element(der::object_identifier, statement_oid), der::element(der::sequence, fields)}));
  const Bytes bundle = der::element(der::sequence, der::element(der::sequence, one));
  return der::element(der::sequence,
                      join({der::element(der::object_identifier, attribute_oid), der::element(der::set, bundle)}));
}

}  // namespace

Result<Bytes> add_attestation(ByteView request_info, const AttestationStatement& statement) {
  auto info = RequestInfo::read(request_info);
  if (!info) return unusable("the DER of a CertificationRequestInfo");
  for (const Bytes& attribute : info->attributes) {
    if (values_of(attribute, attribute_oid)) return unusable("a request without attestation");
  }
  info->attributes.push_back(attribute_of(statement));
  return info->write();
}

Result<std::optional<AttestedRequest>> attestation_of(ByteView request) {
  std::optional<AttestedRequest> result;
  if (request.size() > max_request) return malformed("a request of at most 16 KiB");
  auto content = der::take(request, der::sequence);
  const auto whole = content ? der::take(*content) : std::nullopt;
  auto info = whole ? RequestInfo::read(whole->whole) : std::nullopt;
  if (!info || !request.empty()) return malformed("a PKCS#10 request in DER");
  for (auto attribute = info->attributes.begin(); attribute != info->attributes.end();) {
    const auto values = values_of(*attribute, attribute_oid);
    if (!values) {
      ++attribute;
      continue;
    }
    if (result) return malformed("this attribute once");
    AVSEAL_TRY(AttestationStatement statement, read_bundle(*values));
    result = AttestedRequest{std::move(statement), {}};
    attribute = info->attributes.erase(attribute);
  }
  if (result) result->request_info = info->write();
  return result;
}

}  // namespace avseal::tokens
