#include "tests/unit/attestation/real_tpm.hpp"

#include "tokens/certificate_request.hpp"
#include "tokens/digest.hpp"

namespace avseal::attestation::testing {

namespace {

constexpr TPM2B_SENSITIVE_CREATE no_auth{};
constexpr TPM2B_DATA no_data{};
constexpr TPML_PCR_SELECTION no_pcrs{};

constexpr TPMT_SIG_SCHEME scheme{.scheme = TPM2_ALG_NULL, .details = {}};

TPM2B_DATA data_of(ByteView bytes) {
  TPM2B_DATA data{};
  data.size = static_cast<UINT16>(bytes.size());
  std::copy(bytes.begin(), bytes.end(), data.buffer);
  return data;
}

SignedAttest evidence_of(TPM2B_ATTEST* attest, TPMT_SIGNATURE* signature) {
  const tpm::EsysPtr<TPM2B_ATTEST> attest_owner(attest);
  const tpm::EsysPtr<TPMT_SIGNATURE> signature_owner(signature);
  return {Bytes(attest->attestationData, attest->attestationData + attest->size),
          tpm::marshal_signature(*signature).value()};
}

struct Made {
  tpm::Handle handle;
  TPM2B_PUBLIC area;
};

Made make_primary(tpm::Context& context, ESYS_TR hierarchy, const TPM2B_PUBLIC& wanted) {
  ESYS_TR reference = ESYS_TR_NONE;
  TPM2B_PUBLIC* area = nullptr;
  EXPECT_TRUE(context.command("TPM2_CreatePrimary", [&](ESYS_CONTEXT* esys) {
    return Esys_CreatePrimary(esys, hierarchy, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, &no_auth, &wanted,
                              &no_data, &no_pcrs, &reference, &area, nullptr, nullptr, nullptr);
  }));
  const tpm::EsysPtr<TPM2B_PUBLIC> owner(area);
  return {tpm::Handle(context, reference, tpm::Handle::Kind::flushed), *area};
}

}  // namespace

DeviceInTpm::DeviceInTpm(tpm::Context& context, TPM2B_PUBLIC key_template) : context_(context) {
  srk_ = tpm::create_srk(context).value().handle;
  session_ = tpm::Session::start(context, srk_, srk_.name().value()).value();
  TPM2B_SENSITIVE_CREATE sensitive{};
  sensitive.sensitive.userAuth.size = 32;
  std::copy_n(auth_.reveal().begin(), 32, sensitive.sensitive.userAuth.buffer);
  TPM2B_PRIVATE* private_area = nullptr;
  TPM2B_PUBLIC* public_area = nullptr;
  EXPECT_TRUE(context.command("TPM2_Create", [&](ESYS_CONTEXT* esys) {
    return Esys_Create(esys, srk_.get(), ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, &sensitive, &key_template,
                       &no_data, &no_pcrs, &private_area, &public_area, nullptr, nullptr, nullptr);
  }));
  const tpm::EsysPtr<TPM2B_PRIVATE> private_owner(private_area);
  const tpm::EsysPtr<TPM2B_PUBLIC> public_owner(public_area);
  key_area_ = *public_area;
  key_ = tpm::load_ue_key(context, srk_, *session_, {*public_area, *private_area}, auth_).value();
  auto [ak, area] = make_primary(context, ESYS_TR_RH_ENDORSEMENT, tpm::ak_template(Bytes(32, 7)));
  ak_ = std::move(ak);
  ak_area_ = area;
}

Claim DeviceInTpm::claim() const {
  TPM2B_PUBLIC* area = nullptr;
  EXPECT_TRUE(context_.command("TPM2_ReadPublic", [&](ESYS_CONTEXT* esys) {
    return Esys_ReadPublic(esys, srk_.get(), ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &area, nullptr, nullptr);
  }));
  const tpm::EsysPtr<TPM2B_PUBLIC> owner(area);
  return {{},
          {},
          "SN-1",
          tpm::marshal_public(ak_area_.publicArea).value(),
          tpm::marshal_public(key_area_.publicArea).value(),
          tpm::marshal_public(area->publicArea).value()};
}

Bytes DeviceInTpm::request(const std::string& impu) {
  const auto key = tpm::public_key_of(key_area_).value();
  const Bytes info = tokens::build_request_info(key, "UE", {impu}).value();
  const Bytes signature = tpm::sign_digest(context_, key_, *session_, tokens::sha256(info)).value();
  return tokens::assemble_request(info, key, signature).value();
}

SignedAttest DeviceInTpm::certify(ESYS_TR object, ByteView qualifying_data) const {
  const TPM2B_DATA data = data_of(qualifying_data);
  TPM2B_ATTEST* attest = nullptr;
  TPMT_SIGNATURE* signature = nullptr;
  EXPECT_TRUE(context_.command("TPM2_Certify", [&](ESYS_CONTEXT* esys) {
    return Esys_Certify(esys, object, ak_.get(), ESYS_TR_PASSWORD, ESYS_TR_PASSWORD, ESYS_TR_NONE, &data, &scheme,
                        &attest, &signature);
  }));
  return evidence_of(attest, signature);
}

SignedAttest DeviceInTpm::quote(ByteView qualifying_data, const std::vector<unsigned>& pcrs) const {
  const TPM2B_DATA data = data_of(qualifying_data);
  TPML_PCR_SELECTION selection{};
  selection.count = 1;
  selection.pcrSelections[0].hash = TPM2_ALG_SHA256;
  selection.pcrSelections[0].sizeofSelect = 3;
  for (const unsigned pcr : pcrs) {
    BYTE& byte = selection.pcrSelections[0].pcrSelect[pcr / 8];
    byte = static_cast<BYTE>(byte | 1U << (pcr % 8));
  }
  TPM2B_ATTEST* attest = nullptr;
  TPMT_SIGNATURE* signature = nullptr;
  EXPECT_TRUE(context_.command("TPM2_Quote", [&](ESYS_CONTEXT* esys) {
    return Esys_Quote(esys, ak_.get(), ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, &data, &scheme, &selection,
                      &attest, &signature);
  }));
  return evidence_of(attest, signature);
}

SignedAttest DeviceInTpm::sign_by_ue_key(const TPMS_ATTEST& attest) {
  SignedAttest forged{tpm::marshal_attest(attest).value(), {}};
  const Bytes raw = tpm::sign_digest(context_, key_, *session_, tokens::sha256(forged.attest)).value();
  TPMT_SIGNATURE signature{};
  signature.sigAlg = TPM2_ALG_ECDSA;
  TPMS_SIGNATURE_ECC& ecdsa = signature.signature.ecdsa;
  ecdsa.hash = TPM2_ALG_SHA256;
  ecdsa.signatureR.size = ecdsa.signatureS.size = 32;
  std::copy_n(raw.begin(), 32, ecdsa.signatureR.buffer);
  std::copy_n(raw.begin() + 32, 32, ecdsa.signatureS.buffer);
  forged.signature = tpm::marshal_signature(signature).value();
  return forged;
}

}  // namespace avseal::attestation::testing
