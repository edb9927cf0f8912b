#pragma once

#include <string_view>

namespace avseal::tokens {

// Whether a text that goes into the ledger, where it stays for good, seems to name a person: it has an '@', a scheme
// "sip:", "sips:" or "tel:", a '+' before a digit, or nine digits in a row. Names of people it cannot tell.
bool names_identity(std::string_view text);

}  // namespace avseal::tokens
