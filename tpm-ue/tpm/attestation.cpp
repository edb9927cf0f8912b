#include "tpm/attestation.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <openssl/crypto.h>

#include "structures/attest.hpp"
#include "structures/exact.hpp"
#include "structures/public_area.hpp"

namespace avseal::tpm {

namespace {

constexpr TPMT_SIG_SCHEME scheme_of_key{.scheme = TPM2_ALG_NULL, .details = {}};

Result<TPM2B_DATA> data_of(ByteView bytes) {
  TPM2B_DATA data{};
  if (bytes.size() != TPM2_SHA256_DIGEST_SIZE) return errors::malformed("SHA-256 digest");
  data.size = TPM2_SHA256_DIGEST_SIZE;
  std::copy(bytes.begin(), bytes.end(), data.buffer);
  return data;
}

Result<Attestation> attestation_of(const TPM2B_ATTEST& attest, const TPMT_SIGNATURE& signature) {
  Attestation out;
  out.attest.assign(attest.attestationData, attest.attestationData + attest.size);
  AVSEAL_TRY(out.signature, marshal_signature(signature));
  return out;
}

// How the use of an endorsement key is authorised: its password is empty, or the endorsement hierarchy's is.
struct EkAuthorization {
  Handle policy;  // empty for a password
  [[nodiscard]] ESYS_TR session() const { return policy.get() == ESYS_TR_NONE ? ESYS_TR_PASSWORD : policy.get(); }
};

Result<EkAuthorization> authorize(Context& context, const EndorsementKey& ek) {
  const TPMT_PUBLIC& area = ek.public_area.publicArea;
  EkAuthorization authorization;
  if ((area.objectAttributes & TPMA_OBJECT_USERWITHAUTH) != 0) return authorization;
  constexpr TPMT_SYM_DEF no_encryption{.algorithm = TPM2_ALG_NULL, .keyBits = {}, .mode = {}};
  ESYS_TR reference = ESYS_TR_NONE;
  AVSEAL_CHECK(context.command("TPM2_StartAuthSession", [&](ESYS_CONTEXT* esys) {
    return Esys_StartAuthSession(esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, nullptr,
                                 TPM2_SE_POLICY, &no_encryption, area.nameAlg, &reference);
  }));
  authorization.policy = Handle(context, reference, Handle::Kind::flushed);
  AVSEAL_CHECK(context.command("TPM2_PolicySecret", [&](ESYS_CONTEXT* esys) {
    return Esys_PolicySecret(esys, ESYS_TR_RH_ENDORSEMENT, reference, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE,
                             nullptr, nullptr, nullptr, 0, nullptr, nullptr);
  }));
  return authorization;
}

Error credential_refused(const Error& error) {
  if (error.reason != "tpm-blob-refused" && error.reason != "tpm-refused") return error;
  return avseal::errors::make(
      Category::invalid, "tpm-credential-refused",
      "the TPM refuses the credential: it was made for another endorsement or attestation key, or altered "
      "on the way (" +
          error.detail + ")");
}

TPML_PCR_SELECTION selection_of(std::span<const std::uint32_t> pcrs) {
  TPML_PCR_SELECTION selection{};
  selection.count = 1;
  TPMS_PCR_SELECTION& bank = selection.pcrSelections[0];
  bank.hash = TPM2_ALG_SHA256;
  bank.sizeofSelect = pcr_count / 8;
  for (const std::uint32_t pcr : pcrs) bank.pcrSelect[pcr / 8] |= static_cast<BYTE>(1U << pcr % 8);
  return selection;
}

// TPM2_PCR_Read gives at most eight values at a time, and says which.
Result<std::map<std::uint32_t, Bytes>> read_pcrs(Context& context, std::span<const std::uint32_t> pcrs) {
  std::map<std::uint32_t, Bytes> values;
  for (const std::uint32_t pcr : pcrs) {
    const TPML_PCR_SELECTION wanted = selection_of(std::span(&pcr, 1));
    TPML_DIGEST* raw = nullptr;
    AVSEAL_CHECK(context.command("TPM2_PCR_Read", [&](ESYS_CONTEXT* esys) {
      return Esys_PCR_Read(esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &wanted, nullptr, nullptr, &raw);
    }));
    const EsysPtr<TPML_DIGEST> digests(raw);
    if (digests->count != 1 || digests->digests[0].size != TPM2_SHA256_DIGEST_SIZE) {
      return avseal::errors::make(
          Category::invalid, "tpm-pcr-selection",
          fmt::format("the TPM has no PCR {} in its SHA-256 bank; enable the bank in the firmware settings", pcr));
    }
    const auto& digest = digests->digests[0];
    values[pcr] = Bytes(digest.buffer, digest.buffer + digest.size);
  }
  return values;
}

// Does the quote speak of these values?
Result<bool> quotes(const Attestation& attestation, const std::map<std::uint32_t, Bytes>& values) {
  AVSEAL_TRY(const TPMS_ATTEST attest, unmarshal_attest(attestation.attest));
  Bytes joined;
  for (const auto& [pcr, value] : values) joined.insert(joined.end(), value.begin(), value.end());
  const tokens::Sha256 expected = tokens::sha256(joined);
  const TPM2B_DIGEST& digest = attest.attested.quote.pcrDigest;
  return attest.type == TPM2_ST_ATTEST_QUOTE &&
         std::equal(expected.begin(), expected.end(), digest.buffer, digest.buffer + digest.size);
}

}  // namespace

Result<Primary> create_ak(Context& context, Session& session, ByteView unique) {
  AVSEAL_TRY(const ESYS_TR encrypted, session.encrypting(true));
  return create_primary(context, ESYS_TR_RH_ENDORSEMENT, encrypted, ak_template(unique));
}

Result<Secret> activate_credential(Context& context, Session& session, const Handle& ak, const EndorsementKey& ek,
                                   const Credential& credential) {
  AVSEAL_TRY(const TPM2B_ID_OBJECT blob,
             read_exact<TPM2B_ID_OBJECT>(credential.blob, sizeof(TPM2B_ID_OBJECT), Tss2_MU_TPM2B_ID_OBJECT_Unmarshal,
                                         Tss2_MU_TPM2B_ID_OBJECT_Marshal, "TPM2B_ID_OBJECT"));
  AVSEAL_TRY(const TPM2B_ENCRYPTED_SECRET secret,
             read_exact<TPM2B_ENCRYPTED_SECRET>(credential.secret, sizeof(TPM2B_ENCRYPTED_SECRET),
                                                Tss2_MU_TPM2B_ENCRYPTED_SECRET_Unmarshal,
                                                Tss2_MU_TPM2B_ENCRYPTED_SECRET_Marshal, "TPM2B_ENCRYPTED_SECRET"));
  AVSEAL_TRY(const EkAuthorization authorization, authorize(context, ek));
  AVSEAL_TRY(const ESYS_TR encrypted, session.encrypting(true));
  TPM2B_DIGEST* raw = nullptr;
  const auto done = context.command("TPM2_ActivateCredential", [&](ESYS_CONTEXT* esys) {
    return Esys_ActivateCredential(esys, ak.get(), ek.handle.get(), encrypted, authorization.session(), ESYS_TR_NONE,
                                   &blob, &secret, &raw);
  });
  if (!done) return credential_refused(done.error());
  const EsysPtr<TPM2B_DIGEST> activated(raw);
  Secret out = Secret::copy_of(ByteView(activated->buffer, activated->size));
  OPENSSL_cleanse(activated.get(), sizeof *activated);
  return out;
}

Result<Attestation> certify(Context& context, Session& session, const Handle& key, const Handle& ak,
                            ByteView qualifying_data) {
  AVSEAL_TRY(const TPM2B_DATA data, data_of(qualifying_data));
  TPM2B_ATTEST* raw_attest = nullptr;
  TPMT_SIGNATURE* raw_signature = nullptr;
  AVSEAL_TRY(const ESYS_TR encrypted, session.encrypting(true));
  AVSEAL_CHECK(context.command("TPM2_Certify", [&](ESYS_CONTEXT* esys) {
    return Esys_Certify(esys, key.get(), ak.get(), encrypted, ESYS_TR_PASSWORD, ESYS_TR_NONE, &data, &scheme_of_key,
                        &raw_attest, &raw_signature);
  }));
  const EsysPtr<TPM2B_ATTEST> attest(raw_attest);
  const EsysPtr<TPMT_SIGNATURE> signature(raw_signature);
  return attestation_of(*attest, *signature);
}

Result<Quote> quote(Context& context, Session& session, const Handle& ak, std::span<const std::uint32_t> pcrs,
                    ByteView qualifying_data) {
  if (pcrs.empty() || std::any_of(pcrs.begin(), pcrs.end(), [](std::uint32_t pcr) { return pcr >= pcr_count; })) {
    return avseal::errors::make(Category::invalid, "tpm-pcr-selection", "PCRs are numbered 0 to 23, and one is needed");
  }
  AVSEAL_TRY(const TPM2B_DATA data, data_of(qualifying_data));
  const TPML_PCR_SELECTION selection = selection_of(pcrs);
  for (int attempt = 0; attempt < 3; ++attempt) {
    TPM2B_ATTEST* raw_attest = nullptr;
    TPMT_SIGNATURE* raw_signature = nullptr;
    Quote made;
    AVSEAL_TRY(made.pcrs, read_pcrs(context, pcrs));
    AVSEAL_TRY(const ESYS_TR encrypted, session.encrypting(true));
    AVSEAL_CHECK(context.command("TPM2_Quote", [&](ESYS_CONTEXT* esys) {
      return Esys_Quote(esys, ak.get(), encrypted, ESYS_TR_NONE, ESYS_TR_NONE, &data, &scheme_of_key, &selection,
                        &raw_attest, &raw_signature);
    }));
    const EsysPtr<TPM2B_ATTEST> attest(raw_attest);
    const EsysPtr<TPMT_SIGNATURE> signature(raw_signature);
    AVSEAL_TRY(made.attestation, attestation_of(*attest, *signature));
    AVSEAL_TRY(const bool same_moment, quotes(made.attestation, made.pcrs));
    if (same_moment) return made;
  }
  return avseal::errors::make(
      Category::unavailable, "tpm-pcr-moving",
      "PCR values changed while they were quoted, three times; try again when the system has settled");
}

}  // namespace avseal::tpm
