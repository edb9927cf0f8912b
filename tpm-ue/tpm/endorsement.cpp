#include "tpm/endorsement.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <openssl/core_names.h>

#include "structures/public_area.hpp"
#include "structures/templates.hpp"
#include "tokens/openssl.hpp"
#include "tpm/keys.hpp"
#include "tpm/nv.hpp"

namespace avseal::tpm {

namespace {

constexpr TPM2_HANDLE first_chain_index = 0x01C00100;
constexpr TPM2_HANDLE last_chain_index = 0x01C001FF;
constexpr TPM2_HANDLE platform_index = 0x01C08000;
constexpr TPM2_HANDLE first_ek_handle = 0x81010000;
constexpr TPM2_HANDLE last_ek_handle = 0x8101FFFF;
constexpr std::size_t chain_max = 4;

struct Profile {
  EkType type;
  std::string_view name;
  TPM2_HANDLE certificate;
  std::optional<TPM2_HANDLE> nonce;  // the high range has its own indices and neither nonce nor template
  std::optional<TPM2_HANDLE> stored_template;
  TPM2B_PUBLIC (*standard)();
};
constexpr std::array profiles{
    Profile{EkType::p256, "p-256", 0x01C0000A, 0x01C0000B, 0x01C0000C, ek_p256_template},
    Profile{EkType::rsa2048, "rsa-2048", 0x01C00002, 0x01C00003, 0x01C00004, ek_rsa2048_template},
    Profile{EkType::p384, "p-384", 0x01C00016, std::nullopt, std::nullopt, ek_p384_template}};

const Profile& profile_of(EkType type) {
  return *std::find_if(profiles.begin(), profiles.end(), [type](const Profile& p) { return p.type == type; });
}

Error malformed_certificate(std::string_view why) {
  return avseal::errors::make(
      Category::invalid, "ek-certificate-malformed",
      fmt::format("the endorsement key's certificate in the TPM is not usable: {}; ask the maker of the TPM", why));
}

Error mismatch(const Profile& profile) {
  return avseal::errors::make(
      Category::invalid, "tpm-ek-mismatch",
      fmt::format(
          "the certificate at NV index 0x{:08X} is for another {} endorsement key than the one in this TPM: it was "
          "written for another TPM, or the endorsement seed was changed; only the device's maker can provide the right "
          "one",
          profile.certificate, profile.name));
}

Result<tokens::ssl::X509Ptr> parse(ByteView certificate) {
  const tokens::ssl::ErrorMark mark;
  const unsigned char* at = certificate.data();
  tokens::ssl::X509Ptr x509(d2i_X509(nullptr, &at, static_cast<long>(certificate.size())));
  if (!x509 || at != certificate.data() + certificate.size()) return malformed_certificate("no X.509 certificate");
  if (X509_get0_pubkey(x509.get()) == nullptr) return malformed_certificate("a key of an unknown kind");
  return x509;
}

// What completes the evidence but is not the evidence: an index that nobody may read is as good as none.
Result<std::optional<Bytes>> read_if_readable(Context& context, TPM2_HANDLE index) {
  auto content = read_nv(context, index);
  if (!content && content.error().reason == nv_unreadable) return std::optional<Bytes>{};
  return content;
}

// Length of the DER element at the start, with its header; 0 if it is no SEQUENCE or does not fit.
std::size_t sequence_size(ByteView content) {
  if (content.size() < 2 || content[0] != 0x30) return 0;
  std::size_t header = 2;
  std::size_t size = content[1];
  if (size >= 0x80) {
    const std::size_t octets = size & 0x7FU;
    if (octets < 1 || octets > 2 || content.size() < 2 + octets) return 0;
    size = 0;
    for (std::size_t i = 0; i < octets; ++i) size = size << 8U | content[2 + i];
    header += octets;
  }
  return header + size <= content.size() ? header + size : 0;
}

// The modulus, or the uncompressed point; empty for other kinds of keys.
Bytes key_in(const TPMT_PUBLIC& area) {
  if (area.type == TPM2_ALG_RSA) {
    const TPM2B_PUBLIC_KEY_RSA& modulus = area.unique.rsa;
    return Bytes(modulus.buffer, modulus.buffer + modulus.size);
  }
  if (area.type != TPM2_ALG_ECC) return {};
  const std::size_t width = area.parameters.eccDetail.curveID == TPM2_ECC_NIST_P384 ? 48 : 32;
  Bytes point{0x04};
  for (const TPM2B_ECC_PARAMETER* number : {&area.unique.ecc.x, &area.unique.ecc.y}) {
    if (number->size > width) return {};
    point.insert(point.end(), width - number->size, 0);
    point.insert(point.end(), number->buffer, number->buffer + number->size);
  }
  return point;
}

Bytes key_in(const X509& certificate) {
  EVP_PKEY* key = X509_get0_pubkey(&certificate);
  if (EVP_PKEY_is_a(key, "RSA") == 1) {
    BIGNUM* raw = nullptr;
    EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_N, &raw);
    const tokens::ssl::BigNum modulus(raw);
    Bytes bytes(modulus ? static_cast<std::size_t>(BN_num_bytes(modulus.get())) : 0);
    if (!bytes.empty()) BN_bn2bin(modulus.get(), bytes.data());
    return bytes;
  }
  const auto ec = tokens::PublicKey::from_spki(tokens::ssl::to_der(i2d_PUBKEY, key));
  return ec ? ec->point() : Bytes{};
}

bool same_key(const X509& certificate, const TPM2B_PUBLIC& object) {
  const Bytes wanted = key_in(certificate);
  return !wanted.empty() && wanted == key_in(object.publicArea);
}

// By the maker's template if it left one. A nonce takes the place of the first bytes of `unique`
// (profile 2.5, 2.2.1.5).
Result<TPM2B_PUBLIC> template_of(Context& context, const Profile& profile) {
  TPM2B_PUBLIC wanted = profile.standard();
  const auto type = wanted.publicArea.type;
  if (profile.stored_template) {
    AVSEAL_TRY(const auto stored, read_nv(context, *profile.stored_template));
    if (stored) {
      AVSEAL_TRY(wanted.publicArea, unmarshal_public(*stored));
    }
  }
  const TPMA_OBJECT attributes = wanted.publicArea.objectAttributes;
  constexpr TPMA_OBJECT needed = TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_DECRYPT;
  if (wanted.publicArea.type != type || (attributes & needed) != needed ||
      (attributes & TPMA_OBJECT_SIGN_ENCRYPT) != 0) {
    return avseal::errors::make(Category::invalid, "tpm-ek-template",
                                fmt::format("the {} template in NV does not make an endorsement key", profile.name));
  }
  if (!profile.nonce) return wanted;
  AVSEAL_TRY(const auto nonce, read_nv(context, *profile.nonce));
  if (!nonce) return wanted;
  const bool rsa = type == TPM2_ALG_RSA;
  TPMU_PUBLIC_ID& unique = wanted.publicArea.unique;
  BYTE* begin = rsa ? unique.rsa.buffer : unique.ecc.x.buffer;
  const std::size_t room = rsa ? unique.rsa.size : unique.ecc.x.size;
  if (nonce->size() > room) {
    return avseal::errors::make(Category::invalid, "tpm-ek-template",
                                fmt::format("the {} nonce in NV is larger than {} bytes", profile.name, room));
  }
  std::copy(nonce->begin(), nonce->end(), begin);
  return wanted;
}

Result<std::optional<EndorsementKey>> find_persistent_ek(Context& context, const X509& certificate,
                                                         const TPM2B_PUBLIC& wanted) {
  AVSEAL_TRY(const auto handles, handles_between(context, first_ek_handle, last_ek_handle));
  for (const TPM2_HANDLE handle : handles) {
    AVSEAL_TRY(auto found, find_persistent(context, handle));
    if (!found || !matches_template(found->public_area, wanted) || !same_key(certificate, found->public_area)) continue;
    return std::optional<EndorsementKey>(EndorsementKey{std::move(found->handle), found->public_area});
  }
  return std::optional<EndorsementKey>{};
}

}  // namespace

std::string_view to_string(EkType type) {
  return profile_of(type).name;
}

std::optional<EkType> ek_type_of(std::string_view text) {
  const auto* found =
      std::find_if(profiles.begin(), profiles.end(), [text](const Profile& p) { return p.name == text; });
  if (found == profiles.end()) return std::nullopt;
  return found->type;
}

Result<Bytes> cut_certificate(ByteView content) {
  const std::size_t size = sequence_size(content);
  if (size == 0) return malformed_certificate("no DER SEQUENCE");
  return Bytes(content.begin(), content.begin() + static_cast<std::ptrdiff_t>(size));
}

std::vector<Bytes> split_certificates(ByteView content) {
  std::vector<Bytes> certificates;
  while (!content.empty()) {
    if (content[0] == 0x00 || content[0] == 0xFF) {
      content = content.subspan(1);
      continue;
    }
    const std::size_t size = sequence_size(content);
    if (size == 0) break;
    certificates.emplace_back(content.begin(), content.begin() + static_cast<std::ptrdiff_t>(size));
    content = content.subspan(size);
  }
  return certificates;
}

Result<std::optional<Bytes>> read_ek_certificate(Context& context, EkType type) {
  AVSEAL_TRY(const auto content, read_nv(context, profile_of(type).certificate));
  if (!content) return std::optional<Bytes>{};
  AVSEAL_TRY(Bytes certificate, cut_certificate(*content));
  return std::optional<Bytes>(std::move(certificate));
}

Result<std::vector<Bytes>> read_ek_chain(Context& context, ByteView certificate) {
  AVSEAL_TRY(const auto indices, handles_between(context, first_chain_index, last_chain_index));
  Bytes joined;
  for (const TPM2_HANDLE index : indices) {
    AVSEAL_TRY(const auto part, read_if_readable(context, index));
    if (part) joined.insert(joined.end(), part->begin(), part->end());
  }
  std::vector<std::pair<Bytes, tokens::ssl::X509Ptr>> known;
  for (Bytes& der : split_certificates(joined)) {
    auto x509 = parse(der);
    if (x509) known.emplace_back(std::move(der), std::move(*x509));
  }
  AVSEAL_TRY(const tokens::ssl::X509Ptr leaf, parse(certificate));
  std::vector<Bytes> chain;
  const X509* at = leaf.get();
  while (chain.size() < chain_max) {
    const auto issuer = std::find_if(known.begin(), known.end(), [at](const auto& entry) {
      return X509_NAME_cmp(X509_get_issuer_name(at), X509_get_subject_name(entry.second.get())) == 0;
    });
    if (issuer == known.end() || X509_self_signed(issuer->second.get(), 0) == 1) break;
    chain.push_back(issuer->first);
    at = issuer->second.get();
  }
  return chain;
}

Result<std::optional<Bytes>> read_platform_certificate(Context& context) {
  AVSEAL_TRY(const auto content, read_if_readable(context, platform_index));
  if (!content) return std::optional<Bytes>{};
  AVSEAL_TRY(Bytes certificate, cut_certificate(*content));
  return std::optional<Bytes>(std::move(certificate));
}

Result<tokens::Sha256> ek_hash(ByteView certificate) {
  AVSEAL_TRY(const tokens::ssl::X509Ptr x509, parse(certificate));
  const Bytes spki = tokens::ssl::to_der(i2d_PUBKEY, X509_get0_pubkey(x509.get()));
  if (spki.empty()) return malformed_certificate("a key that cannot be written again");
  return tokens::sha256(spki);
}

Result<EndorsementKey> find_endorsement_key(Context& context, EkType type, ByteView certificate) {
  const Profile& profile = profile_of(type);
  AVSEAL_TRY(const tokens::ssl::X509Ptr x509, parse(certificate));
  AVSEAL_TRY(const TPM2B_PUBLIC wanted, template_of(context, profile));
  AVSEAL_TRY(auto persistent, find_persistent_ek(context, *x509, wanted));
  if (persistent) return std::move(*persistent);
  AVSEAL_TRY(auto made, create_primary(context, ESYS_TR_RH_ENDORSEMENT, ESYS_TR_PASSWORD, wanted));
  if (!same_key(*x509, made.public_area)) return mismatch(profile);
  return EndorsementKey{std::move(made.handle), made.public_area};
}

}  // namespace avseal::tpm
