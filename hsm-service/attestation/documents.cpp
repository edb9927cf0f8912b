#include "attestation/documents.hpp"

#include <fstream>

#include <openssl/pem.h>

#include "tokens/openssl.hpp"

namespace avseal::attestation {

namespace {

namespace ssl = tokens::ssl;

constexpr std::size_t pem_max_size = 64 * 1024;
constexpr std::size_t signature_max_size = 1024;
constexpr int rsa_min_bits = 2048;

Error invalid_signer(std::string detail) {
  return errors::make(Category::invalid, "document-signer-invalid", std::move(detail));
}

Error unreadable(const std::filesystem::path& file, std::string_view why) {
  return errors::make(Category::invalid, "document-unreadable", file.string() + ": " + std::string(why));
}

Result<std::string> read_file(const std::filesystem::path& file, std::size_t max_size) {
  std::ifstream in(file, std::ios::binary);
  if (!in) return unreadable(file, "the file cannot be opened");
  std::string text(max_size + 1, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (in.bad()) return unreadable(file, "the file cannot be read");
  text.resize(static_cast<std::size_t>(in.gcount()));
  if (text.size() > max_size) return unreadable(file, "the file is larger than " + std::to_string(max_size) + " bytes");
  return text;
}

bool strong(EVP_PKEY* key) {
  if (EVP_PKEY_is_a(key, "RSA") == 1) return EVP_PKEY_get_bits(key) >= rsa_min_bits;
  return EVP_PKEY_is_a(key, "EC") == 1 && EVP_PKEY_get_bits(key) >= 256;
}

}  // namespace

Result<DocumentSigner> DocumentSigner::from_pem(std::string_view pem) {
  const ssl::ErrorMark mark;
  if (pem.size() > pem_max_size) return invalid_signer("expected at most 64 KiB of PEM, found more");
  const ssl::Bio certificate_text = ssl::memory_bio(pem);
  const ssl::X509Ptr certificate(PEM_read_bio_X509(certificate_text.get(), nullptr, nullptr, nullptr));
  const ssl::Bio key_text = ssl::memory_bio(pem);
  ssl::Pkey key(certificate ? X509_get_pubkey(certificate.get())
                            : PEM_read_bio_PUBKEY(key_text.get(), nullptr, nullptr, nullptr));
  if (!key) return invalid_signer("expected a PEM certificate or public key of who signs documents, found neither");
  if (!strong(key.get()))
    return invalid_signer("expected an EC key or an RSA key of at least 2048 bits, found another");
  return DocumentSigner(std::shared_ptr<EVP_PKEY>(key.release(), EVP_PKEY_free));
}

Result<DocumentSigner> DocumentSigner::load(const std::filesystem::path& pem_file) {
  AVSEAL_TRY(const std::string pem, read_file(pem_file, pem_max_size));
  auto signer = from_pem(pem);
  if (signer) return std::move(*signer);
  Error error = signer.error();
  error.detail = pem_file.string() + ": " + error.detail;
  return error;
}

Result<void> DocumentSigner::verify(std::string_view document, ByteView signature) const {
  const ssl::ErrorMark mark;
  const std::unique_ptr<EVP_MD_CTX, ssl::Free<EVP_MD_CTX_free>> context(EVP_MD_CTX_new());
  const ByteView bytes = as_bytes(document);
  if (context && EVP_DigestVerifyInit(context.get(), nullptr, EVP_sha256(), nullptr, key_.get()) == 1 &&
      EVP_DigestVerify(context.get(), signature.data(), signature.size(), bytes.data(), bytes.size()) == 1) {
    return {};
  }
  return errors::make(Category::forbidden, "document-signature",
                      "the document's signature does not verify with the configured signer: it was altered, or signed "
                      "by another; sign it with openssl dgst -sha256 -sign KEY -out FILE.sig FILE");
}

Result<std::string> load_document(const std::filesystem::path& file, const DocumentSigner& signer) {
  AVSEAL_TRY(std::string document, read_file(file, document_max_size));
  std::filesystem::path signature_file = file;
  signature_file += ".sig";
  AVSEAL_TRY(const std::string signature, read_file(signature_file, signature_max_size));
  if (const auto verified = signer.verify(document, as_bytes(signature)); !verified) {
    Error error = verified.error();
    error.detail = file.string() + ": " + error.detail;
    return error;
  }
  return document;
}

}  // namespace avseal::attestation
