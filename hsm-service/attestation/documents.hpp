// Signed documents that operators and device makers hand in: FILE beside FILE.sig, as
//   openssl dgst -sha256 -sign key.pem -out FILE.sig FILE
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "tokens/bytes.hpp"
#include "tokens/result.hpp"

struct evp_pkey_st;

namespace avseal::attestation {

inline constexpr std::size_t document_max_size = 16 * 1024 * 1024;

// Who signs documents: EC P-256 or P-384, or RSA of at least 2048 bits.
class DocumentSigner {
 public:
  // A certificate or a public key. Reason "document-signer-invalid".
  static Result<DocumentSigner> from_pem(std::string_view pem);
  static Result<DocumentSigner> load(const std::filesystem::path& pem_file);
  // Reason "document-signature".
  [[nodiscard]] Result<void> verify(std::string_view document, ByteView signature) const;

 private:
  explicit DocumentSigner(std::shared_ptr<evp_pkey_st> key) : key_(std::move(key)) {}
  std::shared_ptr<evp_pkey_st> key_;
};

// The text of a document whose signature verified. Reasons "document-unreadable", "document-signature".
Result<std::string> load_document(const std::filesystem::path& file, const DocumentSigner& signer);

}  // namespace avseal::attestation
