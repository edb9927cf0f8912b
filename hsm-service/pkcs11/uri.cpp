#include "pkcs11/uri.hpp"

#include <algorithm>
#include <cstring>
#include <memory>
#include <set>

#include <p11-kit/uri.h>

#include "pkcs11/errors.hpp"

namespace avseal::pkcs11 {

namespace {

constexpr std::size_t max_size = 1024;
constexpr auto no_slot = static_cast<CK_SLOT_ID>(-1);

struct Free {
  void operator()(P11KitUri* uri) const noexcept { p11_kit_uri_free(uri); }
};

// p11-kit marks a field that is not in the URI by zero bytes.
template <std::size_t N>
std::optional<std::string> field(const unsigned char (&value)[N]) {
  if (value[0] == 0) return std::nullopt;
  return unpadded(value);
}

Result<void> check_type(P11KitUri* uri, std::string_view text) {
  const CK_ATTRIBUTE* type = p11_kit_uri_get_attribute(uri, CKA_CLASS);
  if (type == nullptr) return {};
  CK_OBJECT_CLASS value = 0;
  std::memcpy(&value, type->pValue, sizeof value);
  if (value != CKO_PRIVATE_KEY && value != CKO_SECRET_KEY) {
    return errors::uri_invalid(text, "type is private or secret-key here, or left out");
  }
  return {};
}

// RFC 7512 section 2.3: an attribute stands at most once. p11-kit would take the last.
bool has_duplicates(std::string_view text) {
  std::set<std::string_view> names;
  std::string_view rest = text.substr(std::min(text.size(), std::string_view("pkcs11:").size()));
  while (!rest.empty()) {
    const std::string_view part = rest.substr(0, rest.find_first_of(";?&"));
    rest.remove_prefix(std::min(rest.size(), part.size() + 1));
    if (!part.empty() && !names.insert(part.substr(0, part.find('='))).second) return true;
  }
  return false;
}

std::optional<Bytes> attribute(P11KitUri* uri, CK_ATTRIBUTE_TYPE type) {
  const CK_ATTRIBUTE* found = p11_kit_uri_get_attribute(uri, type);
  if (found == nullptr) return std::nullopt;
  const auto* begin = static_cast<const std::uint8_t*>(found->pValue);
  return Bytes(begin, begin + found->ulValueLen);
}

bool equal_or_absent(const std::optional<std::string>& wanted, const std::string& found) {
  return !wanted || *wanted == found;
}

}  // namespace

Result<Uri> Uri::parse(std::string_view text) {
  if (text.size() > max_size || text.find('\0') != std::string_view::npos) {
    return errors::uri_invalid(text.substr(0, 80), "expected at most 1024 characters and no NUL");
  }
  const std::unique_ptr<P11KitUri, Free> uri(p11_kit_uri_new());
  Uri result;
  result.text = text;
  if (const int code = p11_kit_uri_parse(result.text.c_str(), P11_KIT_URI_FOR_ANY, uri.get()); code != P11_KIT_URI_OK) {
    return errors::uri_invalid(text, "not an RFC 7512 URI such as pkcs11:token=avseal;object=avatar-id");
  }
  if (has_duplicates(text)) return errors::uri_invalid(text, "an attribute stands twice");
  if (p11_kit_uri_any_unrecognized(uri.get()) != 0) return errors::uri_invalid(text, "it has an unknown attribute");
  if (p11_kit_uri_get_slot_id(uri.get()) != no_slot || p11_kit_uri_get_slot_info(uri.get())->slotDescription[0] != 0 ||
      p11_kit_uri_get_slot_info(uri.get())->manufacturerID[0] != 0) {
    return errors::uri_invalid(text, "name the token by label or serial; slots change");
  }
  if (p11_kit_uri_get_pin_value(uri.get()) != nullptr || p11_kit_uri_get_pin_source(uri.get()) != nullptr) {
    return errors::uri_invalid("pkcs11:...",
                               "it has pin-value or pin-source; a PIN comes from a file, a credential or a prompt");
  }
  if (p11_kit_uri_get_module_name(uri.get()) != nullptr || p11_kit_uri_get_module_path(uri.get()) != nullptr) {
    return errors::uri_invalid(text, "the module has its own setting");
  }
  AVSEAL_CHECK(check_type(uri.get(), text));
  const CK_TOKEN_INFO& info = *p11_kit_uri_get_token_info(uri.get());
  result.token = field(info.label);
  result.serial = field(info.serialNumber);
  result.manufacturer = field(info.manufacturerID);
  result.model = field(info.model);
  if (const auto label = attribute(uri.get(), CKA_LABEL)) result.object = std::string(as_text(*label));
  result.id = attribute(uri.get(), CKA_ID);
  return result;
}

Result<Uri> Uri::parse_token(std::string_view text) {
  AVSEAL_TRY(Uri uri, parse(text));
  if (!uri.token && !uri.serial) return errors::uri_invalid(text, "name the token by token= (its label) or serial=");
  if (uri.object || uri.id) return errors::uri_invalid(text, "expected a token without object= and id=");
  return uri;
}

Result<Uri> Uri::parse_key(std::string_view text) {
  AVSEAL_TRY(Uri uri, parse(text));
  if (!uri.object && !uri.id) return errors::uri_invalid(text, "name the key by object= (its label) or id=");
  if ((uri.object && uri.object->empty()) || (uri.id && uri.id->empty())) {
    return errors::uri_invalid(text, "object= and id= are not empty");
  }
  return uri;
}

bool Uri::matches(const CK_TOKEN_INFO& info) const {
  return equal_or_absent(token, unpadded(info.label)) && equal_or_absent(serial, unpadded(info.serialNumber)) &&
         equal_or_absent(manufacturer, unpadded(info.manufacturerID)) && equal_or_absent(model, unpadded(info.model));
}

}  // namespace avseal::pkcs11
