// What EK certificates and platform certificates have in common, of this directory.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "tokens/bytes.hpp"
#include "tokens/result.hpp"

struct stack_st_GENERAL_NAME;
struct x509_st;

namespace avseal::attestation {

// Attributes of the directoryNames in a subject alternative name, by OID in dotted form.
class DirectoryName {
 public:
  // Reason "alternative-name-malformed": the extension is not there exactly once and well-formed.
  static Result<DirectoryName> of_alternative_name(const x509_st* certificate);
  static Result<DirectoryName> of_general_names(ByteView der);  // the content of such an extension

  // The value, if the attribute is there once: 1 to 64 printable ASCII characters.
  [[nodiscard]] std::optional<std::string> only(const std::string& oid) const;

 private:
  static Result<DirectoryName> read(const stack_st_GENERAL_NAME* names);
  std::multimap<std::string, std::string> attributes_;
};

bool has_extended_usage(const x509_st* certificate, const char* oid);

}  // namespace avseal::attestation
