#include "device/current.hpp"

#include "device/errors.hpp"

namespace avseal::device {

Result<tokens::Impu> impu_of(const tokens::Certificate& leaf) {
  if (leaf.san_uris().size() != 1) {
    return errors::certificate_refused("it must name exactly one IMPU as URI in its subjectAltName");
  }
  return tokens::Impu::parse(leaf.san_uris().front());
}

Result<void> check_leaf(const tokens::Certificate& leaf, const tokens::PublicKey& key, UnixSeconds now) {
  if (!(leaf.public_key() == key)) {
    return errors::certificate_refused("it is for another key than the one in this TPM; was it made from our csr?");
  }
  if (leaf.is_ca()) return errors::certificate_refused("it is a CA certificate; the UE's own comes first in the file");
  if (!leaf.has_ue_eku()) return errors::certificate_refused("it lacks the extended key usage of UE certificates");
  if (!leaf.has_digital_signature()) return errors::certificate_refused("it lacks the key usage digitalSignature");
  AVSEAL_CHECK(impu_of(leaf));
  if (!leaf.valid_at(now)) {
    return avseal::errors::make(Category::invalid, "certificate-expired",
                                "the UE certificate is not valid now: it has expired, or the clock is wrong");
  }
  return {};
}

Result<Current> read_current(const StateDirectory& directory, const std::filesystem::path& credentials) {
  AVSEAL_TRY(StoredKey stored, read_key(directory, credentials));
  AVSEAL_TRY(tokens::PublicKey key, tpm::public_key_of(stored.blob.public_area));
  std::vector<tokens::Certificate> chain;
  const std::string file = files::chain(stored.state.generation);
  if (directory.has(file)) {
    AVSEAL_TRY(const Bytes pem, directory.read(file, chain_max_size));
    AVSEAL_TRY(chain, tokens::Certificate::chain_from_pem(as_text(pem)));
  }
  return Current{std::make_shared<const StoredKey>(std::move(stored)), std::move(key), std::move(chain)};
}

}  // namespace avseal::device
