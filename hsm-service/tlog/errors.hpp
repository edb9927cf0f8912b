#pragma once

#include <string>

#include "tokens/result.hpp"

namespace avseal::tlog::errors {

// A text or file that is not in its C2SP form; the reason names which: "note-malformed", "checkpoint-malformed",
// "tile-malformed", "proof-malformed", "policy-malformed", "vkey-malformed".
inline Error malformed(std::string_view reason, std::string detail) {
  return avseal::errors::make(Category::bad_request, reason, std::move(detail));
}

// A proof, hash or signature that does not hold: "inclusion-wrong", "consistency-wrong", "note-signature-missing",
// "note-signature-wrong", "quorum-missed".
inline Error wrong(std::string_view reason, std::string detail) {
  return avseal::errors::make(Category::invalid, reason, std::move(detail));
}

}  // namespace avseal::tlog::errors
