// What an enrolment costs the host, for each type of endorsement key: the credential of the first leg, and the judgment
// of keys and evidence in the second.
#include <benchmark/benchmark.h>

#include "attestation/credential.hpp"
#include "attestation/evidence.hpp"
#include "structures/attest.hpp"
#include "structures/public_area.hpp"
#include "structures/templates.hpp"
#include "tests/unit/attestation/maker.hpp"
#include "tokens/digest.hpp"
#include "tokens/enrolment_binding.hpp"

namespace {

using namespace avseal;
using namespace avseal::attestation::testing;

constexpr std::array key_types{"rsa-2048", "P-256", "P-384"};

// A vendor's root and intermediate, and an EK certificate below them.
struct Vendor {
  explicit Vendor(const char* key_type)
      : key(make_key(key_type)),
        ek(attestation::EkCertificate::read(der_of(intermediate.issue(key.get(), ek_fields(key_type)).get())).value()),
        trust{attestation::Anchors::parse(anchors_json("ek-anchors", std::string(st), {{root.certificate.get()}}),
                                          attestation::AnchorKind::ek)
                  .value(),
              {},
              {}} {}
  Authority root = Authority::root("root");
  Authority intermediate = root.intermediate("intermediate");
  ssl::Pkey key;
  attestation::EkCertificate ek;
  attestation::Trust trust;
};

void make_credential(benchmark::State& state) {
  const Vendor vendor(key_types[static_cast<std::size_t>(state.range(0))]);
  const Bytes name(34, 1);
  const Bytes secret(32, 2);
  for (auto iteration : state) {
    (void)iteration;
    benchmark::DoNotOptimize(attestation::make_credential(vendor.ek.key(), name, secret).value());
  }
  state.SetItemsProcessed(state.iterations());
  state.SetLabel(key_types[static_cast<std::size_t>(state.range(0))]);
}
BENCHMARK(make_credential)->DenseRange(0, 2);

// The whole of both legs but for the certificate that the HSM signs: read and admit, credential, judge.
void whole_enrolment(benchmark::State& state) {
  const Vendor vendor(key_types[static_cast<std::size_t>(state.range(0))]);
  const SoftwareTpm device;
  const attestation::Policy policy = avseal::attestation::testing::policy();
  attestation::Claim claim = device.claim();
  claim.chain = {der_of(vendor.intermediate.certificate.get())};
  const attestation::Known known{false, attestation::ManifestEntry{vendor.ek.device_id(), "SN-1", "m", "b"}, "M"};
  const attestation::Challenge challenge{Bytes(32), tokens::Impu::parse("sip:a@b.example").value(), "https://c"};
  attestation::Evidence evidence{device.request("sip:a@b.example"), {}, {}};
  evidence.certify = device.sign_attest(device.certify(
      tokens::qualifying_data({challenge.nonce, tokens::sha256(evidence.request), challenge.impu, challenge.server})));
  for (auto iteration : state) {
    (void)iteration;
    const auto ek = attestation::EkCertificate::read(vendor.ek.der()).value();
    const auto admitted = attestation::admit(claim, ek, known, vendor.trust, policy, now).value();
    benchmark::DoNotOptimize(attestation::make_credential(admitted.ek, admitted.keys.ak_name, Bytes(32, 2)).value());
    benchmark::DoNotOptimize(
        attestation::judge(evidence, admitted.keys, admitted.tpm, challenge, vendor.trust, policy).value());
  }
  state.SetItemsProcessed(state.iterations());
  state.SetLabel(key_types[static_cast<std::size_t>(state.range(0))]);
}
BENCHMARK(whole_enrolment)->DenseRange(0, 2);

}  // namespace

BENCHMARK_MAIN();
