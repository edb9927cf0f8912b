// Checks that the signed objects share.
#pragma once

#include "tokens/certificate.hpp"
#include "tokens/clock.hpp"
#include "tokens/json.hpp"

namespace avseal::tokens::claims {

// The error of a part as an error of the whole object: another reason, the same detail and place.
Error within(std::string_view reason, const Error& error);

// NumericDate in whole seconds between 1970 and 9999. Reason "member-type".
Result<UnixSeconds> time(ObjectReader& reader, std::string_view name);
bool is_time(UnixSeconds t);

// x5c (RFC 7515 section 4.1.6): standard base64 DER, leaf first, 1 to max certificates. Reason "certificate-malformed".
Result<std::vector<Certificate>> x5c(const std::vector<std::string>& texts, std::size_t max);
json::array to_x5c(const Certificate& leaf, std::span<const Certificate> chain);

json::array to_array(const std::vector<std::string>& strings);

}  // namespace avseal::tokens::claims
