// The UE side of avseal: one key in a TPM 2.0, its certificate, and the UE tokens it signs. No command line, no
// transport: what leaves are finished objects. There is no "sign these bytes" in this interface.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>

#include "device/enrollment.hpp"
#include "device/state.hpp"
#include "tokens/certificate.hpp"
#include "tokens/clock.hpp"
#include "tokens/impu.hpp"
#include "tokens/ue_token.hpp"
#include "tpm/worker.hpp"

struct ssl_ctx_st;

namespace avseal::device {

struct DeviceConfig {
  std::filesystem::path state;
  std::filesystem::path credentials;  // $CREDENTIALS_DIRECTORY of systemd, or empty; its ue-key.auth goes first
  std::string tcti{tpm::default_tcti};
  Clock clock = system_clock_now;
  // Hears of each connection to a TPM, for the log; called on the thread that owns the context.
  std::function<void(const tpm::TpmInfo&)> on_connect = [](const tpm::TpmInfo&) {};
  // Hears how the time of each job in the TPM was spent, before its caller has the answer; on the same thread.
  std::function<void(const tpm::WorkerTimes&)> on_times = [](const tpm::WorkerTimes&) {};
};

enum class InitOutcome { created, existing };

struct UeTokenRequest {
  std::string aud;  // XR AS id
  std::string app;  // application id
  std::string avatar_id;
  std::int64_t lifetime = tokens::ue_token_max_lifetime;  // seconds
};

class Device {
 public:
  // Makes the UE key in the TPM, or, where `config.state` holds one already, checks that this TPM still can use it.
  // A failed init leaves no state.json and may be repeated.
  static Result<InitOutcome> init(const DeviceConfig& config);

  // Reads the state; the TPM is first touched by what needs the key. Reasons "device-not-initialised", "state-*",
  // "key-file-mismatch", "auth-malformed".
  static Result<std::unique_ptr<Device>> open(DeviceConfig config);
  virtual ~Device() = default;

  [[nodiscard]] virtual tokens::PublicKey public_key() const = 0;
  [[nodiscard]] virtual Bytes key_name() const = 0;
  [[nodiscard]] virtual bool srk_persistent() const = 0;

  [[nodiscard]] virtual std::optional<Enrolled> enrolled() const = 0;

  // An attested enrollment, and the renewal of its certificate by the same attestation key. Both make a new UE key.
  // Reasons "state-busy", "device-not-enrolled", "ek-certificate-missing", "tpm-ek-mismatch", "tpm-ak-mismatch".
  virtual Result<std::unique_ptr<Enrollment>> enroll(EnrollmentRequest request) = 0;
  virtual Result<std::unique_ptr<Enrollment>> renew() = 0;

  // Makes the attestation key and lets it certify the UE key, as a renewal does. Reasons "device-not-enrolled",
  // "tpm-ak-mismatch", others of the TPM.
  virtual Result<void> test_attestation() = 0;

  // Who answers at the TCTI, after a test signature by the UE key.
  virtual Result<tpm::TpmInfo> self_test() = 0;

  // A PKCS#10 request (PEM) for `impu`, self-signed by the UE key.
  virtual Result<std::string> certificate_request(const tokens::Impu& impu) = 0;

  // Keeps a chain, leaf first. The leaf must be for our key, valid now, an end entity with digitalSignature and the UE
  // EKU, and name one IMPU. Trust in its issuer is the verifier's concern. Reasons "ue-certificate-refused",
  // "certificate-expired".
  virtual Result<tokens::Certificate> import_certificate(std::string_view pem) = 0;

  [[nodiscard]] virtual std::optional<tokens::Certificate> certificate() const = 0;

  // A UE token (design section 6) under the imported certificate. Reasons "ue-certificate-missing",
  // "certificate-expired", "ue-token-lifetime", those of build_ue_token and of the TPM.
  virtual Result<std::string> ue_token(const UeTokenRequest& request) = 0;

  // For the connection on which the UE token is handed over (design section 1, step e): gives `context` the certificate
  // chain and a key that signs in the TPM, for TLS client authentication only. The device outlives the context.
  virtual Result<void> authenticate_tls(ssl_ctx_st& context) = 0;
};

}  // namespace avseal::device
