// What a UE token costs above the TPM's signature in it: the same software TPM, the same kind of session (salted, with
// encrypted parameters), the same key; in its own thread behind the queue, with claims, encoding and self-check.
#include <benchmark/benchmark.h>

#include "device/device.hpp"
#include "device/provision.hpp"
#include "tests/unit/mf/software_pki.hpp"
#include "tests/unit/tpm/swtpm.hpp"
#include "tokens/certificate_request.hpp"
#include "tpm/keys.hpp"

namespace {

using namespace avseal;

struct Site {
  Site() {
    config.state = tpm.dir() / "ue";
    config.tcti = tpm.tcti();
    if (!device::Device::init(config)) std::abort();
  }
  test::Swtpm tpm;
  device::DeviceConfig config;
};

Site& site() {
  static Site made;
  return made;
}

void bare_sign(benchmark::State& state) {
  const auto context = tpm::Context::open(site().config.tcti).value();
  const auto directory = device::StateDirectory::open(site().config.state).value();
  auto loaded = device::load(*context, device::read_key(directory, {}).value()).value();
  const tokens::Sha256 digest = tokens::sha256(as_bytes("m"));
  for (auto _ : state) {
    if (!tpm::sign_digest(*context, loaded.key, loaded.session, digest)) std::abort();
  }
}

void ue_token(benchmark::State& state) {
  const auto device = device::Device::open(site().config).value();
  const test::SoftwareCa ca("UE CA");
  const auto impu = tokens::Impu::parse("sip:alice@a.example").value();
  const UnixSeconds now = to_unix(std::chrono::system_clock::now());
  Bytes serial = tokens::random_bytes(16);
  serial[0] = static_cast<std::uint8_t>((serial[0] & 0x3FU) | 0x40U);
  const Bytes tbs = tokens::build_ue_tbs({.key = device->public_key(),
                                          .impu = impu,
                                          .serial = serial,
                                          .not_before = now - 60,
                                          .not_after = now + 36000},
                                         ca.certificate)
                        .value();
  const auto leaf = tokens::assemble_certificate(tbs, ca.certificate, ca.key.sign(tbs)).value();
  if (!device->import_certificate(leaf.pem())) std::abort();
  for (auto _ : state) {
    if (!device->ue_token({.aud = "xr", .app = "meeting", .avatar_id = "urn:uuid:a"})) std::abort();
  }
}

BENCHMARK(bare_sign)->Unit(benchmark::kMicrosecond)->MeasureProcessCPUTime()->UseRealTime();
BENCHMARK(ue_token)->Unit(benchmark::kMicrosecond)->MeasureProcessCPUTime()->UseRealTime();

}  // namespace

BENCHMARK_MAIN();
