#include "cli/key_request.hpp"

#include <algorithm>
#include <memory>

#include <openssl/x509v3.h>

namespace avseal::cli {

namespace {

struct Free {
  void operator()(X509_REQ* request) const noexcept { X509_REQ_free(request); }
  void operator()(GENERAL_NAMES* names) const noexcept { GENERAL_NAMES_free(names); }
  void operator()(X509_EXTENSIONS* extensions) const noexcept {
    sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
  }
};

Error invalid(std::string detail) {
  return errors::make(Category::invalid, "request-invalid", std::move(detail));
}

bool is_ia5(std::string_view text) {
  return !text.empty() && text.size() <= 512 &&
         std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7f; });
}

bool add_name(GENERAL_NAMES* names, int type, const std::string& text) {
  ASN1_IA5STRING* string = ASN1_IA5STRING_new();
  GENERAL_NAME* name = GENERAL_NAME_new();
  if (string == nullptr || name == nullptr ||
      ASN1_STRING_set(string, text.data(), static_cast<int>(text.size())) == 0) {
    ASN1_IA5STRING_free(string);
    GENERAL_NAME_free(name);
    return false;
  }
  GENERAL_NAME_set0_value(name, type, string);
  if (sk_GENERAL_NAME_push(names, name) > 0) return true;
  GENERAL_NAME_free(name);
  return false;
}

Result<void> add_alternative_names(X509_REQ* request, const RequestFields& fields) {
  if (fields.san_uris.empty() && fields.san_dns.empty()) return {};
  const std::unique_ptr<GENERAL_NAMES, Free> names(sk_GENERAL_NAME_new_null());
  const auto add_all = [&names](int type, const std::vector<std::string>& texts) {
    return std::all_of(texts.begin(), texts.end(),
                       [&](const std::string& text) { return is_ia5(text) && add_name(names.get(), type, text); });
  };
  if (!add_all(GEN_URI, fields.san_uris) || !add_all(GEN_DNS, fields.san_dns)) {
    return invalid("an alternative name is 1 to 512 printable ASCII characters without spaces");
  }
  X509_EXTENSIONS* raw = nullptr;
  const int added = X509V3_add1_i2d(&raw, NID_subject_alt_name, names.get(), 0, X509V3_ADD_APPEND);
  const std::unique_ptr<X509_EXTENSIONS, Free> extensions(raw);
  if (added <= 0 || X509_REQ_add_extensions(request, extensions.get()) == 0) {
    return invalid("the alternative names cannot be encoded");
  }
  return {};
}

}  // namespace

Result<Bytes> build_request_info(const tokens::PublicKey& key, const RequestFields& fields) {
  if (fields.common_name.empty() || fields.common_name.size() > 64) return invalid("a subject's CN has 1 to 64 bytes");
  const std::unique_ptr<X509_REQ, Free> request(X509_REQ_new());
  X509_NAME* subject = X509_REQ_get_subject_name(request.get());
  const auto* common_name = reinterpret_cast<const unsigned char*>(fields.common_name.data());
  if (X509_REQ_set_version(request.get(), X509_REQ_VERSION_1) == 0 ||
      X509_NAME_add_entry_by_NID(subject, NID_commonName, MBSTRING_UTF8, common_name,
                                 static_cast<int>(fields.common_name.size()), -1, 0) == 0) {
    return invalid("the subject's CN is not UTF-8");
  }
  if (X509_REQ_set_pubkey(request.get(), key.native()) == 0) return invalid("the public key cannot be encoded");
  AVSEAL_CHECK(add_alternative_names(request.get(), fields));
  unsigned char* der = nullptr;
  const int size = i2d_re_X509_REQ_tbs(request.get(), &der);
  if (size <= 0) return invalid("the request cannot be encoded");
  Bytes info(der, der + size);
  OPENSSL_free(der);
  return info;
}

}  // namespace avseal::cli
