#include "tokens/crl.hpp"

#include <algorithm>
#include <ctime>
#include <set>

#include "tokens/der.hpp"
#include "tokens/openssl.hpp"

namespace avseal::tokens {
namespace {

constexpr std::int64_t max_lifetime = 31 * 24 * 60 * 60;
constexpr std::int64_t max_clock_difference = 60 * 60;
constexpr int max_serial_size = 20;  // RFC 5280 section 4.1.2.2

Error refused(std::string detail) {
  return errors::make(Category::forbidden, "tbs-refused", "expected a CRL of this issuer, found " + std::move(detail));
}

ByteView contents(const ASN1_STRING* string) {
  return {ASN1_STRING_get0_data(string), static_cast<std::size_t>(ASN1_STRING_length(string))};
}

// What every TBSCertList of the issuer begins with: version 2, signature algorithm, issuer.
Result<void> check_head(ByteView tbs, const Certificate& issuer) {
  Bytes head{0x02, 0x01, 0x01};
  for (const Bytes& part : {der::signature_algorithm(issuer.public_key().algorithm()),
                            ssl::to_der<const X509_NAME>(i2d_X509_NAME, X509_get_subject_name(issuer.native()))}) {
    head.insert(head.end(), part.begin(), part.end());
  }
  const unsigned char* position = tbs.data();
  long length = 0;
  int tag = 0;
  int type = 0;
  const int form = ASN1_get_object(&position, &length, &tag, &type, static_cast<long>(tbs.size()));
  if (form != V_ASN1_CONSTRUCTED || tag != V_ASN1_SEQUENCE || type != V_ASN1_UNIVERSAL) return refused("no sequence");
  const ByteView content(position, static_cast<std::size_t>(length));
  if (content.size() < head.size() || !std::equal(head.begin(), head.end(), content.begin())) {
    return refused("another version than 2, another signature algorithm or another issuer name");
  }
  return {};
}

// Nothing for a time that RFC 5280 section 5.1.2.4 would write otherwise.
std::optional<UnixSeconds> seconds_of(const ASN1_TIME* time) {
  std::tm parts{};
  if (time == nullptr || ASN1_TIME_to_tm(time, &parts) != 1) return std::nullopt;
  const std::time_t seconds = ::timegm(&parts);
  ASN1_TIME* again = ASN1_TIME_adj(nullptr, seconds, 0, 0);
  const bool same = again != nullptr && ASN1_STRING_cmp(time, again) == 0;
  ASN1_TIME_free(again);
  return same ? std::optional<UnixSeconds>(seconds) : std::nullopt;
}

Result<UnixSeconds> check_times(const X509_CRL* crl, const Certificate& issuer, UnixSeconds now) {
  const auto from = seconds_of(X509_CRL_get0_lastUpdate(crl));
  const auto to = seconds_of(X509_CRL_get0_nextUpdate(crl));
  if (!from || !to) return refused("no thisUpdate or no nextUpdate in the form of RFC 5280");
  if (*from > now + max_clock_difference || *from < now - max_clock_difference) {
    return refused("a thisUpdate more than an hour from now");
  }
  if (*to <= *from || *to - *from > max_lifetime) return refused("a nextUpdate that is not within 31 days");
  if (*from < issuer.not_before() || *to > issuer.not_after()) return refused("times outside the issuer's validity");
  return *from;
}

// The one extension that an entry may have says why; removeFromCRL (8) is of delta CRLs, 7 is unused.
bool has_only_a_reason(const X509_REVOKED* entry) {
  const auto* extensions = X509_REVOKED_get0_extensions(entry);
  if (extensions == nullptr) return true;
  if (sk_X509_EXTENSION_num(extensions) != 1) return false;
  X509_EXTENSION* extension = sk_X509_EXTENSION_value(extensions, 0);
  const ByteView value = contents(X509_EXTENSION_get_data(extension));
  return OBJ_obj2nid(X509_EXTENSION_get_object(extension)) == NID_crl_reason &&
         X509_EXTENSION_get_critical(extension) == 0 && value.size() == 3 && value[0] == V_ASN1_ENUMERATED &&
         value[1] == 1 && value[2] <= 10 && value[2] != 7 && value[2] != 8;
}

Result<void> check_entries(X509_CRL* crl, UnixSeconds this_update) {
  STACK_OF(X509_REVOKED)* entries = X509_CRL_get_REVOKED(crl);
  if (entries == nullptr) return {};
  if (sk_X509_REVOKED_num(entries) == 0) return refused("an empty list of entries, which is left out instead");
  std::set<Bytes> serials;
  for (int i = 0; i < sk_X509_REVOKED_num(entries); ++i) {
    const X509_REVOKED* entry = sk_X509_REVOKED_value(entries, i);
    const ASN1_INTEGER* serial = X509_REVOKED_get0_serialNumber(entry);
    const ByteView number = contents(serial);
    if (ASN1_STRING_type(serial) != V_ASN1_INTEGER || number.empty() || number.size() > max_serial_size ||
        number[0] == 0) {
      return refused("an entry without a positive serial of at most 20 octets");
    }
    if (!serials.emplace(number.begin(), number.end()).second) return refused("a serial twice");
    const auto date = seconds_of(X509_REVOKED_get0_revocationDate(entry));
    if (!date || *date > this_update) return refused("an entry without a revocation date up to thisUpdate");
    if (!has_only_a_reason(entry)) return refused("an entry with another extension than a reason");
  }
  return {};
}

// The value of the one extension of this kind, if it is not critical.
Result<ByteView> extension(const X509_CRL* crl, int nid) {
  const int at = X509_CRL_get_ext_by_NID(crl, nid, -1);
  if (at < 0) return refused(std::string("no extension ") + OBJ_nid2sn(nid));
  X509_EXTENSION* found = X509_CRL_get_ext(crl, at);
  if (X509_EXTENSION_get_critical(found) != 0) return refused(std::string("a critical ") + OBJ_nid2sn(nid));
  return contents(X509_EXTENSION_get_data(found));
}

Result<CrlNumber> check_extensions(const X509_CRL* crl, const Certificate& issuer) {
  if (X509_CRL_get_ext_count(crl) != 2) return refused("another number of extensions than two");
  AVSEAL_TRY(const ByteView authority, extension(crl, NID_authority_key_identifier));
  const ASN1_OCTET_STRING* id = X509_get0_subject_key_id(issuer.native());
  constexpr std::uint8_t key_identifier = 0x80;
  if (id == nullptr) return refused("that the issuer has no subject key identifier");
  const Bytes expected = der::element(der::sequence, der::element(key_identifier, contents(id)));
  if (!std::equal(authority.begin(), authority.end(), expected.begin(), expected.end())) {
    return refused("another authority key identifier than the issuer's");
  }
  AVSEAL_TRY(const ByteView value, extension(crl, NID_crl_number));
  CrlNumber number{};
  if (value.size() < 3 || value.size() > 2 + number.size() || value[0] != V_ASN1_INTEGER ||
      value[1] != value.size() - 2 || value[2] >= 0x80) {
    return refused("a CRL number that is no positive number of at most 20 octets");
  }
  const ByteView digits = value.subspan(2);
  if (digits[0] == 0 && (digits.size() == 1 || digits[1] < 0x80))
    return refused("a CRL number 0 or with needless zeros");
  std::copy(digits.rbegin(), digits.rend(), number.rbegin());
  return number;
}

}  // namespace

Result<CrlNumber> check_crl_tbs(ByteView tbs, const Certificate& issuer, UnixSeconds now) {
  const ssl::ErrorMark mark;
  if (tbs.size() > max_crl_tbs_size) return refused("more than 120 KiB");
  AVSEAL_CHECK(check_head(tbs, issuer));
  // OpenSSL reads whole CRLs: with any signature around it, the TBSCertList is one.
  const Bytes any_signature(issuer.public_key().signature_size(), 1);
  AVSEAL_TRY(const auto der, der::signed_object(tbs, issuer.public_key().algorithm(), any_signature));
  const unsigned char* position = der.data();
  const ssl::X509Crl crl(d2i_X509_CRL(nullptr, &position, static_cast<long>(der.size())));
  if (!crl || position != der.data() + der.size()) return refused("no CRL");
  AVSEAL_TRY(const UnixSeconds this_update, check_times(crl.get(), issuer, now));
  AVSEAL_CHECK(check_entries(crl.get(), this_update));
  AVSEAL_TRY(const CrlNumber number, check_extensions(crl.get(), issuer));
  // Last, for it changes the structure: another encoding than DER could be read differently elsewhere.
  const Bytes again = ssl::to_der<X509_CRL>(i2d_re_X509_CRL_tbs, crl.get());
  if (!std::equal(tbs.begin(), tbs.end(), again.begin(), again.end())) return refused("another encoding than DER");
  return number;
}

}  // namespace avseal::tokens
