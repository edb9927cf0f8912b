#include "tokens/claims.hpp"

#include "tokens/base64.hpp"

namespace avseal::tokens::claims {
namespace {

constexpr UnixSeconds end_of_9999 = 253402300799;

}  // namespace

Error within(std::string_view reason, const Error& error) {
  return errors::make(error.category, reason, error.detail, error.param);
}

bool is_time(UnixSeconds t) {
  return t >= 0 && t <= end_of_9999;
}

Result<UnixSeconds> time(ObjectReader& reader, std::string_view name) {
  AVSEAL_TRY(const UnixSeconds value, reader.integer(name));
  if (!is_time(value)) {
    return errors::make(Category::bad_request, "member-type", "expected seconds since 1970 before the year 10000",
                        reader.pointer_to(name));
  }
  return value;
}

Result<std::vector<Certificate>> x5c(const std::vector<std::string>& texts, std::size_t max) {
  if (texts.empty() || texts.size() > max) {
    return errors::make(
        Category::bad_request, "certificate-malformed",
        "expected 1 to " + std::to_string(max) + " certificates in x5c, found " + std::to_string(texts.size()), "/x5c");
  }
  std::vector<Certificate> certificates;
  for (const std::string& text : texts) {
    const auto der = base64_decode(text);
    if (!der)
      return errors::make(Category::bad_request, "certificate-malformed", "in x5c: " + der.error().detail, "/x5c");
    AVSEAL_TRY(auto certificate, Certificate::from_der(*der));
    certificates.push_back(std::move(certificate));
  }
  return certificates;
}

json::array to_x5c(const Certificate& leaf, std::span<const Certificate> chain) {
  json::array out;
  out.emplace_back(base64_encode(leaf.der()));
  for (const Certificate& certificate : chain) out.emplace_back(base64_encode(certificate.der()));
  return out;
}

json::array to_array(const std::vector<std::string>& strings) {
  json::array out;
  for (const std::string& string : strings) out.emplace_back(string);
  return out;
}

}  // namespace avseal::tokens::claims
