// An enrollment role on a test::Node, with an operator, and CSRs of any kind of key.
#pragma once

#include "../dac/support.hpp"
#include "../support/problem.hpp"
#include "enrollment/role.hpp"
#include "tokens/base64.hpp"

namespace avseal::test {

inline Key make_rsa_key() {
  return {EVP_RSA_gen(2048), EVP_PKEY_free};
}

// A self-signed PKCS#10 request, DER. san: OpenSSL's text, or empty.
inline Bytes make_csr(const Key& key, const std::string& san = {}) {
  const std::unique_ptr<X509_REQ, decltype(&X509_REQ_free)> request(X509_REQ_new(), &X509_REQ_free);
  X509_NAME_add_entry_by_txt(X509_REQ_get_subject_name(request.get()), "CN", MBSTRING_UTF8,
                             reinterpret_cast<const unsigned char*>("ue"), -1, -1, 0);
  X509_REQ_set_pubkey(request.get(), key.get());
  if (!san.empty()) {
    auto* extensions = sk_X509_EXTENSION_new_null();
    sk_X509_EXTENSION_push(extensions, X509V3_EXT_nconf_nid(nullptr, nullptr, NID_subject_alt_name, san.c_str()));
    X509_REQ_add_extensions(request.get(), extensions);
    sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
  }
  X509_REQ_sign(request.get(), key.get(), EVP_sha256());
  unsigned char* der = nullptr;
  const int size = i2d_X509_REQ(request.get(), &der);
  Bytes out(der, der + size);
  OPENSSL_free(der);
  return out;
}

class EnrollmentSite {
 public:
  EnrollmentSite() : node({{"ue-ca", keyring::KeyKind::ue_ca, ue_ca.key, ue_ca.certificate}}, clients()) {
    config.attempts_per_minute = 60;
    config.burst = 30;
    config.server = "https://enrol.a.example";
    start();
  }
  // Again with another configuration; before the first request only.
  void start() {
    shared = enrollment::Shared::create(config).value();
    role = std::make_unique<enrollment::Role>(config, dependencies(), node.metrics);
    role->add_routes(node.router);
  }
  enrollment::Dependencies dependencies() {
    return {*node.keyring,
            *node.ledger,
            node.store->enrolment_codes(),
            node.store->ue_certificates(),
            node.store->devices(),
            node.store->manifests(),
            *shared,
            node.clock()};
  }

  // For the simple form, or for a device with a TPM.
  std::string code(const std::string& impu = "sip:alice@a.example", bool simple = true) {
    boost::json::object body{{"impu", impu}};
    if (simple) {
      body["simple"] = true;
      body["reason"] = "a test";
    }
    const auto response = node.json(http::Method::post, "/enrollment/v1/codes", &operator_, body);
    return std::string(boost::json::parse(response.body).at("code").as_string());
  }
  http::Response enroll(const std::string& with, const std::string& csr) {
    return node.json(http::Method::post, "/enrollment/v1/simple", nullptr,
                     boost::json::object{{"code", with}, {"csr", csr}});
  }
  http::Response enroll(const std::string& with, const Bytes& csr) { return enroll(with, tokens::base64_encode(csr)); }

  Authority tls{"tls"};
  Authority ue_ca{"ue-ca"};
  tokens::Certificate operator_ = tls.leaf("operator", make_key(), "URI:urn:avseal:operator");
  tokens::Certificate ims_as = tls.leaf("ims-as", make_key(), "URI:urn:avseal:ims-as");
  Node node;
  enrollment::Config config;
  std::unique_ptr<enrollment::Shared> shared;
  std::unique_ptr<enrollment::Role> role;

 private:
  static std::vector<http::ClientEntry> clients() {
    std::vector<http::ClientEntry> out(2);
    out[0].client.id = "operator";
    out[0].client.role = http::ClientRole::operator_;
    out[0].san_uri = "urn:avseal:operator";
    out[1].client.id = "ims-as";
    out[1].client.role = http::ClientRole::ims_as;
    out[1].san_uri = "urn:avseal:ims-as";
    return out;
  }
};

}  // namespace avseal::test
