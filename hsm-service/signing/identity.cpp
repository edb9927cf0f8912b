#include "signing/identity.hpp"

#include <algorithm>

#include "tokens/identity_header.hpp"

namespace avseal::signing {
namespace {

std::string list(std::initializer_list<std::string_view> ppts) {
  std::string out;
  for (const auto ppt : ppts) out.append(out.empty() ? "" : " or ").append(ppt);
  return out;
}

}  // namespace

Error verdict(std::string_view reason, std::string detail) {
  return errors::make(Category::invalid, reason, std::move(detail));
}

Error as_verdict(const Error& error) {
  return verdict(error.reason, error.detail);
}

Result<tokens::ParsedPassport> read_identity(std::string_view text, std::initializer_list<std::string_view> ppts) {
  auto header = tokens::parse_identity_header(text);
  if (!header) return as_verdict(header.error());
  auto parsed = tokens::parse_passport(header->passport);
  if (!parsed) return as_verdict(parsed.error());
  const auto& passport = parsed->passport;
  if (std::find(ppts.begin(), ppts.end(), passport.ppt) == ppts.end()) {
    return verdict("ppt-unsupported", "expected ppt " + list(ppts) + ", found '" + passport.ppt + "'");
  }
  if (header->ppt != passport.ppt) {
    return verdict("ppt-mismatch", "expected the ppt parameter of the Identity header to equal that of the PASSporT");
  }
  const auto alg = parsed->jws.header.if_contains("alg");
  if (alg == nullptr || !alg->is_string() || std::string_view(alg->get_string()) != header->alg) {
    return verdict("alg-mismatch", "expected the alg parameter of the Identity header to equal that of the PASSporT");
  }
  if (header->info != passport.x5u) {
    return verdict("x5u-info-mismatch",
                   "expected the info parameter of the Identity header to equal x5u, byte for byte");
  }
  return parsed;
}

}  // namespace avseal::signing
