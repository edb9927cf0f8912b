// A software TPM with endorsement certificates, and what a device does with it.
#pragma once

#include <fstream>
#include <iterator>
#include <optional>

#include <openssl/pem.h>

#include "attestation/credential.hpp"
#include "tests/unit/attestation/maker.hpp"
#include "tests/unit/tpm/swtpm.hpp"
#include "tpm/keys.hpp"

namespace avseal::attestation::testing {

inline std::string read_text(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}
inline Bytes read_bytes(const std::filesystem::path& file) {
  const std::string text = read_text(file);
  return {text.begin(), text.end()};
}
inline void write_bytes(const std::filesystem::path& file, ByteView bytes) {
  std::ofstream(file, std::ios::binary) << as_text(bytes);
}

// swtpm as swtpm_setup provisions it, with EKs of RSA-2048 and P-384 whose certificates are in NV and in certs/, and
// the CA of those certificates in ca/.
class ProvisionedTpm {
 public:
  ProvisionedTpm() {
    tpm_.stop();
    const std::string dir = tpm_.dir().string();
    const std::string script =
        "cd '" + dir + "' && mkdir -p certs ca && printf 'statedir = " + dir + "/ca\\nsigningkey = " + dir +
        "/ca/signkey.pem\\nissuercert = " + dir + "/ca/issuercert.pem\\ncertserial = " + dir +
        "/ca/certserial\\n' >localca.conf && printf -- '--platform-manufacturer ExampleMaker\\n--platform-version "
        "2.1\\n--platform-model XR-UE-1\\n' >localca.options && printf 'create_certs_tool = "
        "/usr/bin/swtpm_localca\\ncreate_certs_tool_config = " +
        dir + "/localca.conf\\ncreate_certs_tool_options = " + dir +
        "/localca.options\\nactive_pcr_banks = sha256\\n' >setup.conf && swtpm_setup --tpm2 --tpmstate state "
        "--config setup.conf --create-ek-cert --create-platform-cert --lock-nvram --write-ek-cert-files certs "
        "--overwrite --logfile setup.log >/dev/null";
    EXPECT_EQ(std::system(script.c_str()), 0) << read_text(tpm_.dir() / "setup.log");
    tpm_.start();
  }

  // Runs tpm2-tools in the TPM's directory; nothing stays loaded.
  int tools(const std::string& commands) {
    const int result = tpm_.tool("{ " + commands + "; } >>tools.log 2>&1");
    static_cast<void>(tpm_.tool("tpm2_flushcontext -t -Q; tpm2_flushcontext -l -Q"));
    return result;
  }
  void run(const std::string& commands) { ASSERT_EQ(tools(commands), 0) << commands << "\n" << file_text("tools.log"); }

  void restart() { tpm_.restart(); }
  [[nodiscard]] std::filesystem::path file(const std::string& name) const { return tpm_.dir() / name; }
  [[nodiscard]] std::string file_text(const std::string& name) const { return read_text(file(name)); }
  [[nodiscard]] Bytes file_bytes(const std::string& name) const { return read_bytes(file(name)); }
  [[nodiscard]] std::unique_ptr<tpm::Context> open() const { return tpm::Context::open(tpm_.tcti()).value(); }

  // Trust in swtpm's own CA, as vendor of TPMs and as maker of the platform.
  [[nodiscard]] Trust trust() const {
    const auto read = [&](const std::string& name) {
      const std::string pem = file_text(name);
      const ssl::Bio bio = ssl::memory_bio(pem);
      return ssl::X509Ptr(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
    };
    const auto root = read("ca/swtpm-localca-rootca-cert.pem");
    const auto issuer = read("ca/issuercert.pem");
    const std::vector<AnchorOf> both{{root.get()}, {issuer.get()}};
    return {Anchors::parse(anchors_json("ek-anchors", "id:00001014", both), AnchorKind::ek).value(),
            Anchors::parse(anchors_json("platform-anchors", "ExampleMaker", both), AnchorKind::platform).value(),
            {}};
  }

 private:
  test::Swtpm tpm_;
};

// A device's keys in the TPM, for as long as this lives.
class DeviceInTpm {
 public:
  explicit DeviceInTpm(tpm::Context& context, TPM2B_PUBLIC key_template = tpm::ue_key_template());

  [[nodiscard]] Claim claim() const;
  [[nodiscard]] Bytes request(const std::string& impu);  // signed by the TPM
  [[nodiscard]] SignedAttest certify(ByteView qualifying_data) const { return certify(key_.get(), qualifying_data); }
  [[nodiscard]] SignedAttest certify(ESYS_TR object, ByteView qualifying_data) const;
  [[nodiscard]] SignedAttest quote(ByteView qualifying_data, const std::vector<unsigned>& pcrs) const;
  [[nodiscard]] SignedAttest sign_by_ue_key(const TPMS_ATTEST& attest);  // a forgery
  [[nodiscard]] const TPM2B_PUBLIC& key_area() const { return key_area_; }
  void drop_session() { session_.reset(); }
  void drop_key() { key_ = tpm::Handle(); }

 private:
  tpm::Context& context_;
  Secret auth_ = Secret::random(32);
  tpm::Handle srk_, ak_, key_;
  std::optional<tpm::Session> session_;
  TPM2B_PUBLIC ak_area_{}, key_area_{};
};

}  // namespace avseal::attestation::testing
