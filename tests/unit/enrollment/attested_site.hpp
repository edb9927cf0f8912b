// An enrollment role that attests, and devices whose TPM is software.
#pragma once

#include <fstream>

#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "attestation/kdf.hpp"
#include "site.hpp"
#include "tests/unit/attestation/maker.hpp"
#include "tokens/enrolment_binding.hpp"

namespace avseal::test {

namespace att = attestation::testing;

// A device: a TPM with an RSA endorsement key, which the maker knows under a serial number.
class TestDevice {
 public:
  TestDevice(const att::Authority& vendor, std::string serial_number)
      : serial(std::move(serial_number)),
        ek(EVP_RSA_gen(2048)),
        certificate(vendor.issue(ek.get(), att::ek_fields("rsa-2048"))) {}

  [[nodiscard]] std::string id() const {
    return attestation::EkCertificate::read(att::der_of(certificate.get()))->device_id();
  }
  [[nodiscard]] boost::json::object first_leg(const std::string& impu, const std::string& code) const {
    auto body = renewal(impu);
    body.erase("device");
    body["serial"] = serial;
    body["ek"] = boost::json::object{{"certificate", tokens::base64url_encode(att::der_of(certificate.get()))}};
    if (!code.empty()) body["code"] = code;
    return body;
  }
  [[nodiscard]] boost::json::object renewal(const std::string& impu) const {
    const auto claim = tpm.claim();
    return {{"impu", impu},
            {"device", id()},
            {"ak", tokens::base64url_encode(claim.ak)},
            {"key", tokens::base64url_encode(claim.key)},
            {"parent", tokens::base64url_encode(claim.parent)}};
  }
  // What the TPM answers to a challenge.
  [[nodiscard]] boost::json::object second_leg(const std::string& impu, const boost::json::value& challenge) const {
    const auto request = tpm.request(impu);
    const auto identity = tokens::Impu::parse(impu).value();
    const auto nonce = decoded(challenge.at("nonce"));
    const auto digest = tokens::sha256(request);
    const std::string server(challenge.at("server").as_string());
    auto attest = tpm.certify(tokens::qualifying_data({nonce, digest, identity, server}));
    attest.clockInfo = life;
    const auto evidence = tpm.sign_attest(attest);
    boost::json::object body{
        {"csr", tokens::base64url_encode(request)},
        {"certify", boost::json::object{{"attest", tokens::base64url_encode(evidence.attest)},
                                        {"signature", tokens::base64url_encode(evidence.signature)}}}};
    if (challenge.as_object().contains("credential")) body["secret"] = tokens::base64url_encode(activate(challenge));
    return body;
  }

  std::string serial;
  att::SoftwareTpm tpm;
  TPMS_CLOCK_INFO life{1000, 3, 1, TPM2_YES};
  att::ssl::Pkey ek;
  att::ssl::X509Ptr certificate;

 private:
  static Bytes decoded(const boost::json::value& text) {
    return tokens::base64url_decode(std::string_view(text.as_string())).value();
  }
  // TPM2_ActivateCredential of the template L-1, without its check of integrity.
  [[nodiscard]] Bytes activate(const boost::json::value& challenge) const {
    const auto blob = decoded(challenge.at("credential").at("blob"));
    const auto secret = decoded(challenge.at("credential").at("secret"));
    const auto seed = decrypt(ByteView(secret).subspan(2));
    const auto name = tpm::name_of(tpm.ak_area).value();
    const auto key = attestation::kdfa(attestation::Hash::sha256, seed, "STORAGE", name, {}, 128);
    const auto identity = ByteView(blob).subspan(2 + 2 + 32);
    const std::unique_ptr<EVP_CIPHER_CTX, decltype(&EVP_CIPHER_CTX_free)> context(EVP_CIPHER_CTX_new(),
                                                                                  &EVP_CIPHER_CTX_free);
    const Bytes nothing(16, 0);
    Bytes plain(identity.size());
    int length = 0;
    EVP_DecryptInit_ex(context.get(), EVP_aes_128_cfb128(), nullptr, key.data(), nothing.data());
    EVP_DecryptUpdate(context.get(), plain.data(), &length, identity.data(), static_cast<int>(identity.size()));
    return {plain.begin() + 2, plain.end()};
  }
  [[nodiscard]] Bytes decrypt(ByteView sealed) const {
    const std::unique_ptr<EVP_PKEY_CTX, decltype(&EVP_PKEY_CTX_free)> context(EVP_PKEY_CTX_new(ek.get(), nullptr),
                                                                              &EVP_PKEY_CTX_free);
    EVP_PKEY_decrypt_init(context.get());
    EVP_PKEY_CTX_set_rsa_padding(context.get(), RSA_PKCS1_OAEP_PADDING);
    EVP_PKEY_CTX_set_rsa_oaep_md(context.get(), EVP_sha256());
    EVP_PKEY_CTX_set_rsa_mgf1_md(context.get(), EVP_sha256());
    constexpr std::string_view label("IDENTITY\0", 9);
    void* copy = OPENSSL_memdup(label.data(), label.size());
    EVP_PKEY_CTX_set0_rsa_oaep_label(context.get(), copy, static_cast<int>(label.size()));
    Bytes out(256);
    std::size_t size = out.size();
    EXPECT_EQ(EVP_PKEY_decrypt(context.get(), out.data(), &size, sealed.data(), sealed.size()), 1);
    out.resize(size);
    return out;
  }
};

class AttestedSite : public EnrollmentSite {
 public:
  AttestedSite() {
    node.forget_routes();
    enrollment::AttestationConfig attested;
    attested.profile = node.dir.write("profile.toml", profile_text);
    attested.signer = node.dir.write("documents.pem", att::public_pem(documents.get()));
    attested.documents.ek_anchors = node.dir.path() / "ek-anchors.json";
    write_signed("ek-anchors.json",
                 att::anchors_json("ek-anchors", std::string(att::st), {{vendor.certificate.get()}}));
    attested.makers = {{"ExampleMaker", node.dir.write("maker.pem", att::public_pem(maker.get()))}};
    attested.evidence_directory = node.dir.path() / "evidence";
    std::filesystem::create_directory(attested.evidence_directory);
    config.attestation = attested;
    config.burst = 1000;
    start();
  }

  void write_signed(const std::string& name, const std::string& text) {
    node.dir.write(name, text);
    node.dir.write(name + ".sig", as_text(att::sign(documents.get(), as_bytes(text))));
  }
  // The profile, with more in it, from now on.
  void use_profile(const std::string& more) {
    node.dir.write("profile.toml", profile_text + more);
    shared->rules->use(shared->rules->reread().value());
  }
  static boost::json::object manifest_request(EVP_PKEY* signer, const std::string& text) {
    return {{"document", text}, {"signature", tokens::base64url_encode(att::sign(signer, as_bytes(text)))}};
  }
  static std::string manifest(int version, const std::vector<const TestDevice*>& devices,
                              const std::string& batch = "b1", const std::string& of = "ExampleMaker") {
    std::string text =
        "# maker: " + of + "\n# version: " + std::to_string(version) + "\nek_sha256,serial,model,batch\n";
    for (const auto* device : devices) text += device->id() + "," + device->serial + ",XR-UE-1," + batch + "\n";
    return text;
  }
  http::Response import(const boost::json::value& body) {
    return node.json(http::Method::post, "/enrollment/v1/manifests", &operator_, body);
  }
  void list(const TestDevice& device, const std::string& batch = "b1") {
    const auto response = import(manifest_request(maker.get(), manifest(++manifest_version, {&device}, batch)));
    EXPECT_EQ(response.status, 201U) << response.body;
  }

  http::Response challenge(const boost::json::object& body) {
    return node.json(http::Method::post, "/enrollment/v1/challenges", nullptr, body);
  }
  http::Response answer(const boost::json::value& challenged, const boost::json::value& body) {
    return node.json(http::Method::post,
                     "/enrollment/v1/challenges/" + std::string(challenged.at("id").as_string()) + "/certificate",
                     nullptr, body);
  }
  // Both legs; the answer that ended it.
  http::Response both(const TestDevice& device, const boost::json::object& first, const std::string& impu) {
    auto challenged = challenge(first);
    if (challenged.status != 201) return challenged;
    const auto body = boost::json::parse(challenged.body);
    return answer(body, device.second_leg(impu, body));
  }
  http::Response enrol(const TestDevice& device, const std::string& with, const std::string& impu = alice) {
    return both(device, device.first_leg(impu, with), impu);
  }
  http::Response renew(const TestDevice& device, const std::string& impu = alice) {
    return both(device, device.renewal(impu), impu);
  }
  http::Response act(const std::string& path, const boost::json::value& body) {
    return node.json(http::Method::post, "/enrollment/v1/" + path, &operator_, body);
  }
  boost::json::value get(const std::string& path) {
    auto request = node.request(http::Method::get, "/enrollment/v1/" + path.substr(0, path.find('?')), &operator_);
    if (const auto at = path.find('?'); at != std::string::npos) {
      const auto pair = path.substr(at + 1);
      request.query.emplace(pair.substr(0, pair.find('=')), pair.substr(pair.find('=') + 1));
    }
    return boost::json::parse(node.call(request).body);
  }
  store::Device known(const TestDevice& device) {
    auto find = node.store->devices().find(device.id());
    return run(node.context, std::move(find)).value().value();
  }
  tokens::Certificate leaf(const http::Response& response) {
    const auto body = boost::json::parse(response.body);
    return tokens::Certificate::from_pem(std::string_view(body.at("certificates").at(0).as_string())).value();
  }

  static inline const std::string alice = "sip:alice@a.example";
  static inline const std::string profile_text = "name = \"test\"\nbinding = [\"manifest\"]\n";
  att::Authority vendor = att::Authority::root("TPM vendor");
  att::ssl::Pkey documents = att::make_key("P-256");
  att::ssl::Pkey maker = att::make_key("P-256");
  int manifest_version = 0;
};

}  // namespace avseal::test
