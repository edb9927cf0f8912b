#include "attestation/directory_name.hpp"

#include <algorithm>
#include <array>

#include "tokens/openssl.hpp"

namespace avseal::attestation {

namespace {

namespace ssl = tokens::ssl;

constexpr std::size_t max_attributes = 64;
constexpr std::size_t max_value = 64;

std::string dotted(const ASN1_OBJECT* object) {
  std::array<char, 128> text{};
  const int size = OBJ_obj2txt(text.data(), text.size(), object, 1);
  return size > 0 && static_cast<std::size_t>(size) < text.size() ? std::string(text.data()) : std::string();
}

// Empty if it is nothing that a label has.
std::string value_of(const ASN1_STRING* string) {
  unsigned char* out = nullptr;
  const int size = ASN1_STRING_to_UTF8(&out, string);
  if (size < 0) return {};
  std::string text(out, out + size);
  OPENSSL_free(out);
  const bool plain =
      text.size() <= max_value && std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c < 0x7F; });
  return plain ? text : std::string();
}

}  // namespace

Result<DirectoryName> DirectoryName::of_alternative_name(const x509_st* certificate) {
  const ssl::GeneralNames names(
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
  return read(names.get());
}

Result<DirectoryName> DirectoryName::of_general_names(ByteView der) {
  const ssl::ErrorMark mark;
  const unsigned char* at = der.data();
  const ssl::GeneralNames names(der.empty() ? nullptr : d2i_GENERAL_NAMES(nullptr, &at, static_cast<long>(der.size())));
  return read(names && at == der.data() + der.size() ? names.get() : nullptr);
}

Result<DirectoryName> DirectoryName::read(const stack_st_GENERAL_NAME* names) {
  const auto malformed = [](std::string detail) {
    return errors::make(Category::invalid, "alternative-name-malformed", std::move(detail));
  };
  if (names == nullptr)
    return malformed("expected one well-formed subject alternative name, found none, another or two");
  DirectoryName result;
  for (int i = 0; i < sk_GENERAL_NAME_num(names); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names, i);
    if (name->type != GEN_DIRNAME) continue;
    for (int j = 0; j < X509_NAME_entry_count(name->d.directoryName); ++j) {
      const X509_NAME_ENTRY* entry = X509_NAME_get_entry(name->d.directoryName, j);
      result.attributes_.emplace(dotted(X509_NAME_ENTRY_get_object(entry)), value_of(X509_NAME_ENTRY_get_data(entry)));
    }
  }
  if (result.attributes_.size() > max_attributes) return malformed("expected at most 64 attributes, found more");
  return result;
}

std::optional<std::string> DirectoryName::only(const std::string& oid) const {
  if (attributes_.count(oid) != 1) return std::nullopt;
  std::string value = attributes_.find(oid)->second;
  if (value.empty()) return std::nullopt;
  return value;
}

bool has_extended_usage(const x509_st* certificate, const char* oid) {
  const ssl::ExtendedKeyUsage usages(
      static_cast<EXTENDED_KEY_USAGE*>(X509_get_ext_d2i(certificate, NID_ext_key_usage, nullptr, nullptr)));
  if (!usages) return false;
  for (int i = 0; i < sk_ASN1_OBJECT_num(usages.get()); ++i) {
    if (dotted(sk_ASN1_OBJECT_value(usages.get(), i)) == oid) return true;
  }
  return false;
}

}  // namespace avseal::attestation
