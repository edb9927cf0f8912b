#include "enrollment/requests.hpp"

#include <algorithm>
#include <memory>

#include <fmt/format.h>
#include <openssl/bio.h>
#include <openssl/pem.h>
#include <openssl/pkcs7.h>
#include <openssl/x509.h>

#include "tokens/base64.hpp"
#include "tokens/digest.hpp"
#include "tokens/free_text.hpp"
#include "tokens/json.hpp"

namespace avseal::enrollment {
namespace {

constexpr std::size_t code_bytes = 16;
constexpr std::size_t max_csr = 8 * 1024;  // bytes of DER
constexpr std::int64_t min_code_lifetime = 60;
constexpr std::size_t max_reason = 200;
constexpr std::string_view pem_begin = "-----BEGIN ";

Error malformed_csr(std::string_view found) {
  return errors::make(
      Category::invalid, "csr-malformed",
      fmt::format("expected a PKCS#10 request as PEM or as base64 DER of at most {} bytes: {}", max_csr, found),
      "/csr");
}

Result<Bytes> pem_to_der(std::string_view pem) {
  const std::unique_ptr<BIO, decltype(&BIO_free)> input(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())),
                                                        &BIO_free);
  char* name = nullptr;
  char* header = nullptr;
  unsigned char* data = nullptr;
  long size = 0;
  if (!input || PEM_read_bio(input.get(), &name, &header, &data, &size) != 1) return malformed_csr("broken PEM");
  const std::unique_ptr<char, void (*)(char*)> owned_name(name, [](char* p) { OPENSSL_free(p); });
  const std::unique_ptr<char, void (*)(char*)> owned_header(header, [](char* p) { OPENSSL_free(p); });
  const std::unique_ptr<unsigned char, void (*)(unsigned char*)> owned_data(data,
                                                                            [](unsigned char* p) { OPENSSL_free(p); });
  const std::string_view label(name);
  if ((label != PEM_STRING_X509_REQ && label != PEM_STRING_X509_REQ_OLD) || *header != '\0')
    return malformed_csr("the PEM is not a CERTIFICATE REQUEST");
  return Bytes(data, data + size);
}

Result<Bytes> csr_der(std::string_view text) {
  if (text.size() > 2 * max_csr) return malformed_csr(fmt::format("{} characters", text.size()));
  if (text.starts_with(pem_begin)) return pem_to_der(text);
  auto der = tokens::base64_decode(text);
  if (!der) return malformed_csr("neither PEM nor base64");
  return std::move(*der);
}

}  // namespace

std::string new_code() {
  return tokens::hex_encode(tokens::random_bytes(code_bytes));
}

std::string code_digest(std::string_view code) {
  return tokens::base64url_encode(tokens::sha256(as_bytes(code)));
}

Result<CodeRequest> parse_code_request(std::string_view body, const Config& config) {
  AVSEAL_TRY(const auto document, tokens::parse_json(body));
  AVSEAL_TRY(auto reader, tokens::ObjectReader::open(document));
  AVSEAL_TRY(const auto impu_text, reader.string("impu"));
  AVSEAL_TRY(const auto lifetime, reader.optional_integer("lifetime"));
  bool simple = false;
  if (reader.has("simple")) {
    AVSEAL_TRY(simple, reader.boolean("simple"));
  }
  AVSEAL_TRY(const auto reason, reader.optional_string("reason"));
  AVSEAL_CHECK(reader.finish());
  auto impu = tokens::Impu::parse(impu_text);
  if (!impu) {
    auto error = impu.error();
    error.param = "/impu";
    return error;
  }
  CodeRequest out{*impu, lifetime.value_or(config.code_lifetime), simple, std::string(reason.value_or(""))};
  if (out.lifetime < min_code_lifetime || out.lifetime > config.max_code_lifetime)
    return errors::make(
        Category::invalid, "code-lifetime",
        fmt::format("expected {} to {} seconds, found {}", min_code_lifetime, config.max_code_lifetime, out.lifetime),
        "/lifetime");
  if (simple == out.reason.empty() || out.reason.size() > max_reason) {
    return errors::make(Category::invalid, "code-reason",
                        fmt::format("expected a reason of at most {} bytes with \"simple\": true, and none else: a "
                                    "certificate without proof of the TPM is an exception",
                                    max_reason),
                        "/reason");
  }
  if (tokens::names_identity(out.reason)) {
    return errors::make(Category::invalid, "code-reason",
                        "expected a reason without an identity or telephone number: the log keeps it", "/reason");
  }
  return out;
}

Result<SimpleRequest> parse_simple_request(std::string_view body) {
  AVSEAL_TRY(const auto document, tokens::parse_json(body));
  AVSEAL_TRY(auto reader, tokens::ObjectReader::open(document));
  AVSEAL_TRY(const auto code, reader.string("code"));
  AVSEAL_TRY(const auto csr, reader.string("csr"));
  AVSEAL_CHECK(reader.finish());
  const bool shaped = code.size() == 2 * code_bytes && std::all_of(code.begin(), code.end(), [](char c) {
                        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
                      });
  if (!shaped)
    return errors::make(Category::unauthenticated, "enrolment-code-invalid",
                        fmt::format("expected the {} hex digits that the operator was given", 2 * code_bytes), "/code");
  AVSEAL_TRY(auto der, csr_der(csr));
  if (der.empty() || der.size() > max_csr) return malformed_csr(fmt::format("{} bytes", der.size()));
  return SimpleRequest{std::string(code), std::move(der)};
}

Result<tokens::CertificateRequest> check_csr(ByteView der) {
  auto csr = tokens::CertificateRequest::from_der(der);
  if (!csr) {
    auto error = csr.error();
    if (error.param.empty()) error.param = "/csr";
    return error;
  }
  if (csr->key.algorithm() != tokens::Algorithm::es256)
    return errors::make(Category::invalid, "csr-key-type", "expected a P-256 key, as UE keys in a TPM are", "/csr");
  return std::move(*csr);
}

Result<void> check_csr_identity(const tokens::CertificateRequest& csr, const tokens::Impu& impu) {
  if (csr.san_uris.empty()) return {};
  const auto found = tokens::Impu::parse(csr.san_uris.front());
  if (csr.san_uris.size() == 1 && found && *found == impu) return {};
  return errors::make(Category::invalid, "csr-identity",
                      "the SAN URI of the request is not the identity that the enrolment code was issued for", "/csr");
}

Result<std::string> certs_only_pkcs7(std::span<const tokens::Certificate> certificates) {
  const std::unique_ptr<PKCS7, decltype(&PKCS7_free)> message(PKCS7_new(), &PKCS7_free);
  bool ok = message && PKCS7_set_type(message.get(), NID_pkcs7_signed) == 1 &&
            PKCS7_content_new(message.get(), NID_pkcs7_data) == 1;
  if (ok) ok = PKCS7_set_detached(message.get(), 1) == 1;
  for (const auto& certificate : certificates)
    ok = ok && PKCS7_add_certificate(message.get(), certificate.native()) == 1;
  unsigned char* der = nullptr;
  const int size = ok ? i2d_PKCS7(message.get(), &der) : -1;
  if (size <= 0)
    return errors::make(Category::internal, "pkcs7-failed", "OpenSSL could not encode the CA certificates");
  const std::unique_ptr<unsigned char, void (*)(unsigned char*)> owned(der, [](unsigned char* p) { OPENSSL_free(p); });
  const auto flat = tokens::base64_encode({der, static_cast<std::size_t>(size)});
  std::string lines;
  for (std::size_t at = 0; at < flat.size(); at += 64) lines += flat.substr(at, 64) + "\n";
  return lines;
}

}  // namespace avseal::enrollment
