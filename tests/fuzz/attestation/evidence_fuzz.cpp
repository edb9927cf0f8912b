// What the attestation key signed is judged, though it may be anything: here it signs whatever the fuzzer says, as the
// certification, as the quote, or as both.
#include <algorithm>
#include <cstdlib>

#include <openssl/core_names.h>

#include "attestation/evidence.hpp"
#include "structures/attest.hpp"
#include "structures/public_area.hpp"
#include "structures/templates.hpp"
#include "tokens/digest.hpp"
#include "tokens/enrolment_binding.hpp"
#include "tokens/openssl.hpp"

using namespace avseal;
namespace ssl = tokens::ssl;

namespace {

void require(bool done) {
  if (!done) std::abort();
}

struct Device {
  Device() : key(EVP_EC_gen("P-256")) {
    unsigned char* point = nullptr;
    require(EVP_PKEY_get1_encoded_public_key(key.get(), &point) == 65);
    const auto area = [&](TPM2B_PUBLIC object) {
      TPMS_ECC_POINT& ecc = object.publicArea.unique.ecc;
      ecc.x.size = ecc.y.size = 32;
      std::copy_n(point + 1, 32, ecc.x.buffer);
      std::copy_n(point + 33, 32, ecc.y.buffer);
      return tpm::marshal_public(object.publicArea).value();
    };
    keys = attestation::read_keys(area(tpm::ak_template({})), area(tpm::ue_key_template()), area(tpm::srk_template()),
                                  policy)
               .value();
    OPENSSL_free(point);
    const Bytes info = tokens::build_request_info(keys->key, "UE", {}).value();
    request = tokens::assemble_request(info, keys->key, sign(info)).value();
  }

  [[nodiscard]] Bytes sign(ByteView message) const {
    const std::unique_ptr<EVP_MD_CTX, ssl::Free<EVP_MD_CTX_free>> context(EVP_MD_CTX_new());
    Bytes der(128);
    std::size_t size = der.size();
    require(EVP_DigestSignInit(context.get(), nullptr, EVP_sha256(), nullptr, key.get()) == 1 &&
            EVP_DigestSign(context.get(), der.data(), &size, message.data(), message.size()) == 1);
    der.resize(size);
    return tokens::signature_from_der(der, 64).value();
  }

  [[nodiscard]] attestation::SignedAttest attest(Bytes bytes) const {
    const Bytes raw = sign(bytes);
    TPMT_SIGNATURE signature{};
    signature.sigAlg = TPM2_ALG_ECDSA;
    TPMS_SIGNATURE_ECC& ecdsa = signature.signature.ecdsa;
    ecdsa.hash = TPM2_ALG_SHA256;
    ecdsa.signatureR.size = ecdsa.signatureS.size = 32;
    std::copy_n(raw.begin(), 32, ecdsa.signatureR.buffer);
    std::copy_n(raw.begin() + 32, 32, ecdsa.signatureS.buffer);
    return {std::move(bytes), tpm::marshal_signature(signature).value()};
  }

  ssl::Pkey key;
  attestation::Policy policy =
      attestation::Policy::parse("name = \"f\"\nbinding = [\"manifest\"]\nmode = \"monitor\"\nquote.pcrs = [0]",
                                 "p.toml")
          .value();
  std::optional<attestation::DeviceKeys> keys;
  Bytes request;
};

// A good attest, of which the fuzzer's bytes are differences: else it would never get past the binding.
Bytes changed(TPMS_ATTEST attest, ByteView differences) {
  Bytes bytes = tpm::marshal_attest(attest).value();
  for (std::size_t i = 0; i < std::min(bytes.size(), differences.size()); ++i) bytes[i] ^= differences[i];
  return bytes;
}

template <class Sized>
void set(Sized& sized, std::uint8_t* buffer, ByteView bytes) {
  sized.size = static_cast<UINT16>(bytes.size());
  std::copy(bytes.begin(), bytes.end(), buffer);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const int quiet = ::setenv("TSS2_LOG", "all+none", 1);
  static_cast<void>(quiet);
  static const Device device;
  static const attestation::Challenge challenge{Bytes(32), tokens::Impu::parse("sip:a@b.example").value(), "https://c"};
  if (size == 0) return 0;
  TPMS_ATTEST good{};
  good.magic = TPM2_GENERATED_VALUE;
  good.type = TPM2_ST_ATTEST_CERTIFY;
  set(good.qualifiedSigner, good.qualifiedSigner.name, device.keys->ak_qualified_name);
  set(good.extraData, good.extraData.buffer,
      tokens::qualifying_data({challenge.nonce, tokens::sha256(device.request), challenge.impu, challenge.server}));
  set(good.attested.certify.name, good.attested.certify.name.name, device.keys->key_name);
  set(good.attested.certify.qualifiedName, good.attested.certify.qualifiedName.name, device.keys->key_qualified_name);
  TPMS_ATTEST quote = good;
  quote.type = TPM2_ST_ATTEST_QUOTE;
  quote.attested.quote = {};
  quote.attested.quote.pcrSelect.count = 1;
  quote.attested.quote.pcrSelect.pcrSelections[0] = {TPM2_ALG_SHA256, 3, {1, 0, 0}};
  set(quote.attested.quote.pcrDigest, quote.attested.quote.pcrDigest.buffer, tokens::sha256(Bytes(32)));

  const ByteView bytes(data + 1, size - 1);
  attestation::Evidence evidence{device.request, {}, {}};
  evidence.certify = device.attest(changed(good, data[0] % 2 == 0 ? bytes : ByteView()));
  evidence.quote =
      attestation::QuoteEvidence{device.attest(changed(quote, data[0] % 2 == 1 ? bytes : ByteView())), {{0, {}}}};
  const auto verdict = attestation::judge(evidence, *device.keys, {}, challenge, {}, device.policy);
  if (!verdict) return 0;
  // Approved: only the clock and the firmware may differ.
  const auto differs = [](ByteView found, const TPMS_ATTEST& from) {
    TPMS_ATTEST attest = tpm::unmarshal_attest(found).value();
    attest.clockInfo = from.clockInfo;
    attest.firmwareVersion = from.firmwareVersion;
    return tpm::marshal_attest(attest).value() != tpm::marshal_attest(from).value();
  };
  if (differs(evidence.certify->attest, good) || differs(evidence.quote->quote.attest, quote)) std::abort();
  return 0;
}
