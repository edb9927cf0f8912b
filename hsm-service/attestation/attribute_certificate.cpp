#include "attestation/attribute_certificate.hpp"

#include <algorithm>
#include <array>
#include <ctime>
#include <optional>

#include "attestation/refused.hpp"
#include "tokens/der.hpp"
#include "tokens/openssl.hpp"

namespace avseal::attestation {

namespace {

namespace ssl = tokens::ssl;
namespace der = tokens::der;

constexpr std::uint8_t boolean = 0x01;
constexpr std::uint8_t generalized_time = 0x18;
constexpr std::uint8_t tag_0 = 0xA0;           // [0], constructed
constexpr std::uint8_t directory_name = 0xA4;  // of GeneralName
constexpr std::array<std::uint8_t, 3> subject_alternative_name{0x55, 0x1D, 0x11};
constexpr std::array<std::uint8_t, 1> version_2{1};

Error malformed(std::string_view expected) {
  return refused("platform-certificate-malformed", "in the attribute certificate: expected " + std::string(expected));
}

bool same(ByteView a, ByteView b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end());
}

Bytes copy(ByteView bytes) {
  return {bytes.begin(), bytes.end()};
}

// GeneralNames with one directoryName and nothing else: the DER of its Name.
std::optional<Bytes> only_directory_name(ByteView& bytes) {
  auto names = der::take(bytes, der::sequence);
  auto name = names ? der::take(*names, directory_name) : std::nullopt;
  const auto content = name ? der::take(*name) : std::nullopt;
  if (!content || content->tag != der::sequence || !name->empty() || !names->empty()) return std::nullopt;
  return copy(content->whole);
}

std::optional<UnixSeconds> take_time(ByteView& bytes) {
  const auto content = der::take(bytes, generalized_time);
  constexpr std::size_t size = std::string_view("20261125120000Z").size();
  if (!content || content->size() != size) return std::nullopt;
  const std::unique_ptr<ASN1_GENERALIZEDTIME, ssl::Free<ASN1_GENERALIZEDTIME_free>> time(ASN1_GENERALIZEDTIME_new());
  std::tm parts{};
  const std::string text(as_text(*content));
  if (!time || ASN1_GENERALIZEDTIME_set_string(time.get(), text.c_str()) != 1 ||
      ASN1_TIME_to_tm(time.get(), &parts) != 1) {
    return std::nullopt;
  }
  return static_cast<UnixSeconds>(::timegm(&parts));
}

// Names are compared as OpenSSL compares those of a chain.
bool same_name(const Bytes& encoded, const X509_NAME* name) {
  const unsigned char* at = encoded.data();
  const ssl::Name parsed(d2i_X509_NAME(nullptr, &at, static_cast<long>(encoded.size())));
  return parsed && at == encoded.data() + encoded.size() && X509_NAME_cmp(parsed.get(), name) == 0;
}

}  // namespace

bool AttributeCertificate::looks_like_one(ByteView bytes) {
  auto content = der::take(bytes, der::sequence);
  auto info = content ? der::take(*content, der::sequence) : std::nullopt;
  return info && der::take(*info, der::integer);  // the other kind begins with its version in [0]
}

Result<AttributeCertificate> AttributeCertificate::read(ByteView bytes) {
  if (bytes.size() > attribute_certificate_max_size) return malformed("at most 16 KiB");
  auto content = der::take(bytes, der::sequence);
  if (!content || !bytes.empty()) return malformed("one DER sequence and nothing behind it");
  AttributeCertificate result;
  const auto info = der::take(*content);
  const auto algorithm = der::take(*content);
  const auto signature = der::take(*content, der::bit_string);
  if (!info || info->tag != der::sequence || !algorithm || algorithm->tag != der::sequence || !signature ||
      signature->size() < 2 || signature->front() != 0 || !content->empty()) {
    return malformed("info, algorithm and signature");
  }
  result.signed_ = copy(info->whole);
  result.algorithm_ = copy(algorithm->whole);
  result.signature_ = copy(signature->subspan(1));
  AVSEAL_CHECK(result.read_info(info->content));
  return result;
}

Result<void> AttributeCertificate::read_info(ByteView info) {
  const auto version = der::take(info, der::integer);
  if (!version || !same(*version, version_2)) return malformed("version 2");

  auto holder = der::take(info, der::sequence);
  auto base = holder ? der::take(*holder, tag_0) : std::nullopt;
  const auto holder_issuer = base ? only_directory_name(*base) : std::nullopt;
  const auto holder_serial = holder_issuer ? der::take(*base) : std::nullopt;
  if (!holder_serial || holder_serial->tag != der::integer || !base->empty() || !holder->empty()) {
    return malformed("a holder named by issuer and serial of its certificate, and by nothing else");
  }
  holder_issuer_ = *holder_issuer;
  holder_serial_ = copy(holder_serial->whole);

  auto issuer = der::take(info, tag_0);
  const auto issuer_name = issuer ? only_directory_name(*issuer) : std::nullopt;
  if (!issuer_name || !issuer->empty()) return malformed("an issuer with one directory name");
  issuer_ = *issuer_name;

  const auto algorithm = der::take(info);
  if (!algorithm || !same(algorithm->whole, algorithm_)) return malformed("the same algorithm inside and outside");
  if (!der::take(info, der::integer)) return malformed("a serial number");

  auto validity = der::take(info, der::sequence);
  const auto from = validity ? take_time(*validity) : std::nullopt;
  const auto to = from ? take_time(*validity) : std::nullopt;
  if (!to || !validity->empty()) return malformed("a validity of two times");
  not_before_ = *from;
  not_after_ = *to;

  if (!der::take(info, der::sequence)) return malformed("attributes");
  const auto extensions = der::take(info, der::sequence);
  if (!extensions || !info.empty()) return malformed("extensions and nothing behind them");
  return read_extensions(*extensions);
}

Result<void> AttributeCertificate::read_extensions(ByteView extensions) {
  std::optional<ByteView> names;
  while (!extensions.empty()) {
    auto extension = der::take(extensions, der::sequence);
    const auto id = extension ? der::take(*extension, der::object_identifier) : std::nullopt;
    const auto critical = id ? der::take(*extension, boolean) : std::nullopt;
    const auto value = id ? der::take(*extension, der::octet_string) : std::nullopt;
    if (!value || !extension->empty()) return malformed("extensions of an identifier and a value");
    if (same(*id, subject_alternative_name)) {
      if (names) return malformed("one subject alternative name");
      names = *value;
    } else if (critical) {
      return refused("platform-certificate-critical-extension",
                     "the attribute certificate has a critical extension that is not known");
    }
  }
  auto read = DirectoryName::of_general_names(names.value_or(ByteView()));
  if (!read) return refused("platform-certificate-san", read.error().detail);
  alternative_name_ = std::move(*read);
  return {};
}

bool AttributeCertificate::is_about(const x509_st* certificate) const {
  const Bytes serial =
      ssl::to_der<const ASN1_INTEGER>(i2d_ASN1_INTEGER, const_cast<ASN1_INTEGER*>(X509_get0_serialNumber(certificate)));
  return !serial.empty() && serial == holder_serial_ && same_name(holder_issuer_, X509_get_issuer_name(certificate));
}

bool AttributeCertificate::was_issued_by_subject_of(const x509_st* certificate) const {
  return same_name(issuer_, X509_get_subject_name(certificate));
}

bool AttributeCertificate::verifies_with(const x509_st* issuer) const {
  const ssl::ErrorMark mark;
  auto* certificate = const_cast<X509*>(issuer);
  const bool signs = (X509_get_extension_flags(certificate) & EXFLAG_KUSAGE) != 0 &&
                     (X509_get_key_usage(certificate) & KU_DIGITAL_SIGNATURE) != 0;
  const unsigned char* at = algorithm_.data();
  const std::unique_ptr<X509_ALGOR, ssl::Free<X509_ALGOR_free>> algorithm(
      d2i_X509_ALGOR(nullptr, &at, static_cast<long>(algorithm_.size())));
  EVP_PKEY* key = X509_get0_pubkey(issuer);
  int hash = NID_undef;
  int kind = NID_undef;
  if (!signs || !algorithm || at != algorithm_.data() + algorithm_.size() || key == nullptr ||
      OBJ_find_sigid_algs(OBJ_obj2nid(algorithm->algorithm), &hash, &kind) != 1) {
    return false;
  }
  // SHA-1 is out, and the key is of the kind that the algorithm names.
  const EVP_MD* method = hash == NID_sha256 ? EVP_sha256() : hash == NID_sha384 ? EVP_sha384() : nullptr;
  const bool fits = (kind == NID_rsaEncryption && EVP_PKEY_is_a(key, "RSA") == 1 && EVP_PKEY_get_bits(key) >= 2048) ||
                    (kind == NID_X9_62_id_ecPublicKey && EVP_PKEY_is_a(key, "EC") == 1);
  const std::unique_ptr<EVP_MD_CTX, ssl::Free<EVP_MD_CTX_free>> context(EVP_MD_CTX_new());
  return fits && method != nullptr && context &&
         EVP_DigestVerifyInit(context.get(), nullptr, method, nullptr, key) == 1 &&
         EVP_DigestVerify(context.get(), signature_.data(), signature_.size(), signed_.data(), signed_.size()) == 1;
}

}  // namespace avseal::attestation
