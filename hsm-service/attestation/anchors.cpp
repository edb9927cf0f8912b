#include "attestation/anchors.hpp"

#include <map>

#include <openssl/pem.h>

#include "attestation/documents.hpp"
#include "attestation/refused.hpp"
#include "tokens/base64.hpp"
#include "tokens/digest.hpp"
#include "tokens/json.hpp"
#include "tokens/openssl.hpp"

namespace avseal::attestation {

namespace {

namespace ssl = tokens::ssl;
namespace json = tokens::json;
using tokens::ObjectReader;

constexpr std::size_t max_vendors = 64;
constexpr std::size_t max_anchors = 256;  // of one vendor; so many CRLs too
constexpr std::size_t max_chain = 4;      // that a device may send
constexpr std::size_t max_certificate = 8 * 1024;
constexpr int max_intermediates = 4;
constexpr int security_level = 2;  // 112 bits: no SHA-1, no RSA below 2048 bits

struct Reasons {
  std::string_view malformed, untrusted, expired, revoked, revocation_unknown, critical_extension;
};
constexpr Reasons ek_reasons{
    "ek-certificate-malformed", "ek-certificate-untrusted",          "ek-certificate-expired",
    "ek-certificate-revoked",   "ek-certificate-revocation-unknown", "ek-certificate-critical-extension"};
constexpr Reasons platform_reasons{"platform-certificate-malformed",
                                   "platform-certificate-untrusted",
                                   "platform-certificate-expired",
                                   "platform-certificate-revoked",
                                   "platform-certificate-revocation-unknown",
                                   "platform-certificate-critical-extension"};

const Reasons& reasons_of(AnchorKind kind) {
  return kind == AnchorKind::ek ? ek_reasons : platform_reasons;
}

Error invalid(std::string detail, std::string pointer = {}) {
  return errors::make(Category::invalid, "anchors-invalid", std::move(detail), std::move(pointer));
}

struct Vendor {
  ssl::X509Store store{X509_STORE_new()};   // what a chain may end in, and CRLs
  std::vector<ssl::X509Ptr> ends;           // what is in the store
  std::vector<ssl::X509Ptr> intermediates;  // what may complete a chain
  bool partial_chain = false;
  bool has_crls = false;
};

Result<ssl::X509Ptr> read_anchor(ObjectReader& reader) {
  AVSEAL_TRY(const std::string_view pem, reader.string("pem"));
  AVSEAL_TRY(const std::string_view pinned, reader.string("sha256"));
  const ssl::Bio bio = ssl::memory_bio(pem);
  ssl::X509Ptr anchor(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
  if (!anchor) return invalid("expected a PEM certificate", reader.pointer_to("pem"));
  const Bytes der = ssl::to_der<const X509>(i2d_X509, anchor.get());
  const auto digest = tokens::hex_decode(pinned);
  const tokens::Sha256 found = tokens::sha256(der);
  if (!digest || !tokens::equal_constant_time(*digest, found)) {
    return invalid("expected the SHA-256 of the certificate's DER, " + tokens::hex_encode(found) + ", found another",
                   reader.pointer_to("sha256"));
  }
  const std::uint32_t flags = X509_get_extension_flags(anchor.get());
  if ((flags & EXFLAG_INVALID) != 0) return invalid("expected well-formed extensions", reader.pointer_to("pem"));
  return anchor;
}

Result<void> add_anchor(Vendor& vendor, AnchorKind kind, const json::value& value, const std::string& pointer) {
  AVSEAL_TRY(auto reader, ObjectReader::open(value, pointer));
  AVSEAL_TRY(ssl::X509Ptr anchor, read_anchor(reader));
  bool partial = false;
  if (reader.has("partial_chain")) {
    AVSEAL_TRY(partial, reader.boolean("partial_chain"));
  }
  AVSEAL_CHECK(reader.finish());
  if (X509_check_ca(anchor.get()) == 0 && !(partial && kind == AnchorKind::platform)) {
    return invalid("expected a CA certificate, found another", reader.pointer_to("pem"));
  }
  if (!partial && (X509_get_extension_flags(anchor.get()) & EXFLAG_SS) == 0) {
    vendor.intermediates.push_back(std::move(anchor));
    return {};
  }
  vendor.partial_chain = vendor.partial_chain || partial;
  if (X509_STORE_add_cert(vendor.store.get(), anchor.get()) != 1) return invalid("the anchor cannot be added", pointer);
  vendor.ends.push_back(std::move(anchor));
  return {};
}

Result<void> add_crls(Vendor& vendor, ObjectReader& reader) {
  AVSEAL_TRY(const auto crls, reader.optional_strings("crls"));
  if (!crls) return {};
  if (crls->size() > max_anchors) return invalid("expected at most 256 CRLs", reader.pointer_to("crls"));
  for (const std::string& pem : *crls) {
    const ssl::Bio bio = ssl::memory_bio(pem);
    const ssl::X509Crl crl(PEM_read_bio_X509_CRL(bio.get(), nullptr, nullptr, nullptr));
    if (!crl || X509_STORE_add_crl(vendor.store.get(), crl.get()) != 1) {
      return invalid("expected PEM CRLs", reader.pointer_to("crls"));
    }
    vendor.has_crls = true;
  }
  return {};
}

Result<void> fill(Vendor& vendor, AnchorKind kind, ObjectReader& reader) {
  AVSEAL_TRY(const json::array* anchors, reader.array("anchors"));
  if (anchors->size() > max_anchors) return invalid("expected at most 256 anchors", reader.pointer_to("anchors"));
  for (std::size_t i = 0; i < anchors->size(); ++i) {
    AVSEAL_CHECK(add_anchor(vendor, kind, (*anchors)[i], reader.pointer_to("anchors") + "/" + std::to_string(i)));
  }
  if (vendor.ends.empty()) {
    return invalid("expected a root, or an intermediate certificate with partial_chain, that chains may end in",
                   reader.pointer_to("anchors"));
  }
  return add_crls(vendor, reader);
}

// What a verification may let pass, and whether it did.
struct Leniency {
  ChainOptions options;
  bool revocation_unknown = false;
};

bool of_revocation(int error) {
  return error == X509_V_ERR_UNABLE_TO_GET_CRL || error == X509_V_ERR_CRL_HAS_EXPIRED ||
         error == X509_V_ERR_CRL_NOT_YET_VALID || error == X509_V_ERR_UNABLE_TO_GET_CRL_ISSUER;
}

int on_result(int good, X509_STORE_CTX* context) {
  if (good == 1) return 1;
  auto* leniency = static_cast<Leniency*>(X509_STORE_CTX_get_app_data(context));
  const int error = X509_STORE_CTX_get_error(context);
  const bool pass_expiry = error == X509_V_ERR_CERT_HAS_EXPIRED && leniency->options.ignore_expiry;
  const bool pass_revocation = of_revocation(error) && !leniency->options.require_revocation;
  if (!pass_expiry && !pass_revocation) return 0;
  leniency->revocation_unknown = leniency->revocation_unknown || pass_revocation;
  X509_STORE_CTX_set_error(context, X509_V_OK);
  return 1;
}

Error no_anchors(const Reasons& reasons, std::string_view vendor) {
  return refused(reasons.untrusted, "the anchor bundle has no anchors of " + std::string(vendor));
}

Error chain_refused(const Reasons& reasons, int code) {
  const std::string detail =
      std::string("expected a chain to the vendor's anchors, found: ") + X509_verify_cert_error_string(code);
  if (code == X509_V_ERR_CERT_HAS_EXPIRED || code == X509_V_ERR_CERT_NOT_YET_VALID) {
    return refused(reasons.expired, detail);
  }
  if (code == X509_V_ERR_CERT_REVOKED) return refused(reasons.revoked, detail);
  if (code == X509_V_ERR_UNHANDLED_CRITICAL_EXTENSION) return refused(reasons.critical_extension, detail);
  return refused(of_revocation(code) ? reasons.revocation_unknown : reasons.untrusted, detail);
}

Result<std::vector<ssl::X509Ptr>> read_chain(std::span<const Bytes> chain, const Reasons& reasons) {
  if (chain.size() > max_chain) return refused(reasons.malformed, "expected at most 4 certificates in the chain");
  std::vector<ssl::X509Ptr> certificates;
  for (const Bytes& der : chain) {
    const unsigned char* at = der.data();
    ssl::X509Ptr certificate(der.size() <= max_certificate ? d2i_X509(nullptr, &at, static_cast<long>(der.size()))
                                                           : nullptr);
    if (!certificate || at != der.data() + der.size()) {
      return refused(reasons.malformed, "expected DER certificates of at most 8 KiB in the chain, found other bytes");
    }
    certificates.push_back(std::move(certificate));
  }
  return certificates;
}

}  // namespace

struct Anchors::Data {
  AnchorKind kind = AnchorKind::ek;
  std::int64_t version = 0;
  std::map<std::string, Vendor, std::less<>> vendors;
};

Anchors::Anchors() : data_(std::make_shared<Data>()) {}

Result<Anchors> Anchors::parse(std::string_view document, AnchorKind kind) {
  const ssl::ErrorMark mark;
  AVSEAL_TRY(const json::value value, tokens::parse_json(document, {.size = document_max_size}));
  AVSEAL_TRY(auto root, ObjectReader::open(value));
  AVSEAL_TRY(const std::string_view found_kind, root.string("kind"));
  const std::string_view wanted_kind = kind == AnchorKind::ek ? "ek-anchors" : "platform-anchors";
  if (found_kind != wanted_kind) return invalid("expected \"" + std::string(wanted_kind) + "\"", "/kind");
  auto data = std::make_shared<Data>();
  data->kind = kind;
  AVSEAL_TRY(data->version, root.integer("version"));
  if (data->version < 1) return invalid("expected a version of 1 or more", "/version");
  AVSEAL_TRY(const json::array* vendors, root.array("vendors"));
  if (vendors->empty() || vendors->size() > max_vendors) return invalid("expected 1 to 64 vendors", "/vendors");
  AVSEAL_CHECK(root.finish());
  for (std::size_t i = 0; i < vendors->size(); ++i) {
    AVSEAL_TRY(auto reader, ObjectReader::open((*vendors)[i], "/vendors/" + std::to_string(i)));
    AVSEAL_TRY(const std::string_view id, reader.string("vendor"));
    AVSEAL_CHECK(reader.string("name"));
    const auto [vendor, added] = data->vendors.try_emplace(std::string(id));
    if (!added) return invalid("the vendor is there twice", reader.pointer_to("vendor"));
    AVSEAL_CHECK(fill(vendor->second, kind, reader));
    AVSEAL_CHECK(reader.finish());
  }
  Anchors anchors;
  anchors.data_ = std::move(data);
  return anchors;
}

std::int64_t Anchors::version() const {
  return data_->version;
}

bool Anchors::has(std::string_view vendor) const {
  return data_->vendors.find(vendor) != data_->vendors.end();
}

Result<ChainFacts> Anchors::verify(std::string_view vendor, x509_st* leaf, std::span<const Bytes> chain,
                                   ChainOptions options, UnixSeconds now) const {
  const ssl::ErrorMark mark;
  const Reasons& reasons = reasons_of(data_->kind);
  const auto found = data_->vendors.find(vendor);
  if (found == data_->vendors.end()) return no_anchors(reasons, vendor);
  const Vendor& of = found->second;
  if (!of.has_crls && options.require_revocation) {
    return refused(reasons.revocation_unknown, "the anchor bundle has no CRL of " + std::string(vendor));
  }
  AVSEAL_TRY(const auto sent, read_chain(chain, reasons));
  const ssl::BorrowedX509Stack untrusted(sk_X509_new_null());
  for (const auto& certificate : of.intermediates) sk_X509_push(untrusted.get(), certificate.get());
  for (const auto& certificate : sent) sk_X509_push(untrusted.get(), certificate.get());
  const ssl::X509StoreContext context(X509_STORE_CTX_new());
  if (!context || X509_STORE_CTX_init(context.get(), of.store.get(), leaf, untrusted.get()) != 1) {
    return chain_refused(reasons, X509_V_ERR_OUT_OF_MEM);
  }
  Leniency leniency{options};
  X509_STORE_CTX_set_app_data(context.get(), &leniency);
  X509_STORE_CTX_set_verify_cb(context.get(), on_result);
  // No purpose: OpenSSL knows none for these certificates; their readers ask for the usages.
  X509_VERIFY_PARAM* param = X509_STORE_CTX_get0_param(context.get());
  X509_VERIFY_PARAM_set_time(param, static_cast<std::time_t>(now));
  X509_VERIFY_PARAM_set_depth(param, max_intermediates);
  X509_VERIFY_PARAM_set_auth_level(param, security_level);
  if (of.partial_chain) X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_PARTIAL_CHAIN);
  if (of.has_crls) X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_EXTENDED_CRL_SUPPORT);
  if (X509_verify_cert(context.get()) != 1) return chain_refused(reasons, X509_STORE_CTX_get_error(context.get()));
  return ChainFacts{of.has_crls && !leniency.revocation_unknown};
}

Result<std::vector<std::shared_ptr<x509_st>>> Anchors::signers(std::string_view vendor,
                                                               std::span<const Bytes> chain) const {
  const Reasons& reasons = reasons_of(data_->kind);
  const auto found = data_->vendors.find(vendor);
  if (found == data_->vendors.end()) return no_anchors(reasons, vendor);
  AVSEAL_TRY(const auto sent, read_chain(chain, reasons));
  std::vector<std::shared_ptr<x509_st>> certificates;
  for (const auto* some : {&found->second.ends, &found->second.intermediates, &sent}) {
    for (const auto& certificate : *some) {
      X509_up_ref(certificate.get());
      certificates.emplace_back(certificate.get(), X509_free);
    }
  }
  return certificates;
}

}  // namespace avseal::attestation
