#include "tests/unit/attestation/maker.hpp"

#include <algorithm>
#include <stdexcept>

#include <boost/json.hpp>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "tokens/base64.hpp"
#include "tokens/certificate_request.hpp"
#include "tokens/digest.hpp"

namespace avseal::attestation::testing {

namespace {

void require(bool done, const char* what) {
  if (!done) throw std::runtime_error(what);
}

void add(X509* x509, X509* issuer, int nid, const std::string& value) {
  if (value.empty()) return;
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, x509, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str());
  require(extension != nullptr, value.c_str());
  X509_add_ext(x509, extension, -1);
  X509_EXTENSION_free(extension);
}

void add_alternative_name(X509* x509, const Names& attributes) {
  if (attributes.empty()) return;
  X509_NAME* directory = X509_NAME_new();
  for (const auto& [oid, value] : attributes) {
    const ssl::Object object(OBJ_txt2obj(oid.c_str(), 1));
    X509_NAME_add_entry_by_OBJ(directory, object.get(), MBSTRING_UTF8,
                               reinterpret_cast<const unsigned char*>(value.data()), static_cast<int>(value.size()), -1,
                               0);
  }
  GENERAL_NAME* name = GENERAL_NAME_new();
  GENERAL_NAME_set0_value(name, GEN_DIRNAME, directory);
  const ssl::GeneralNames names(GENERAL_NAMES_new());
  sk_GENERAL_NAME_push(names.get(), name);
  require(X509_add1_ext_i2d(x509, NID_subject_alt_name, names.get(), 1, X509V3_ADD_DEFAULT) == 1, "SAN");
}

void add_unknown(X509* x509, const std::string& oid) {
  const ssl::Object object(OBJ_txt2obj(oid.c_str(), 1));
  ASN1_OCTET_STRING* value = ASN1_OCTET_STRING_new();
  const std::array<std::uint8_t, 2> null{0x05, 0x00};
  ASN1_OCTET_STRING_set(value, null.data(), null.size());
  X509_EXTENSION* extension = X509_EXTENSION_create_by_OBJ(nullptr, object.get(), 1, value);
  X509_add_ext(x509, extension, -1);
  X509_EXTENSION_free(extension);
  ASN1_OCTET_STRING_free(value);
}

ssl::X509Ptr make(EVP_PKEY* key, const CertificateFields& fields, EVP_PKEY* signer, X509* issuer) {
  ssl::X509Ptr x509(X509_new());
  X509* const authority = issuer != nullptr ? issuer : x509.get();
  X509_set_version(x509.get(), X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(x509.get()), fields.serial);
  if (!fields.subject.empty()) {
    X509_NAME_add_entry_by_txt(X509_get_subject_name(x509.get()), "CN", MBSTRING_UTF8,
                               reinterpret_cast<const unsigned char*>(fields.subject.c_str()), -1, -1, 0);
  }
  X509_set_issuer_name(x509.get(), X509_get_subject_name(authority));
  ASN1_TIME_set(X509_getm_notBefore(x509.get()), static_cast<std::time_t>(fields.not_before));
  ASN1_TIME_set(X509_getm_notAfter(x509.get()), static_cast<std::time_t>(fields.not_after));
  X509_set_pubkey(x509.get(), key);
  add(x509.get(), authority, NID_basic_constraints, fields.ca ? "critical,CA:TRUE" : "critical,CA:FALSE");
  add(x509.get(), authority, NID_key_usage, fields.key_usage);
  add(x509.get(), authority, NID_ext_key_usage, fields.extended_usage);
  add_alternative_name(x509.get(), fields.alternative_name);
  add(x509.get(), authority, NID_subject_key_identifier, "hash");
  add(x509.get(), authority, NID_authority_key_identifier, "keyid");
  if (fields.critical_extension) add_unknown(x509.get(), *fields.critical_extension);
  require(X509_sign(x509.get(), signer, EVP_sha256()) > 0, "X509_sign");
  return x509;
}

CertificateFields ca_fields(const std::string& subject) {
  CertificateFields fields;
  fields.subject = subject;
  fields.ca = true;
  fields.key_usage = "critical,keyCertSign,cRLSign";
  fields.extended_usage.clear();
  fields.alternative_name.clear();
  fields.not_before = now - 30 * day;
  fields.not_after = now + 30 * day;
  return fields;
}

void set_point(TPM2B_PUBLIC& area, EVP_PKEY* key) {
  unsigned char* out = nullptr;
  require(EVP_PKEY_get1_encoded_public_key(key, &out) == 65, "a P-256 point");
  TPMS_ECC_POINT& point = area.publicArea.unique.ecc;
  point = {};
  point.x.size = point.y.size = 32;
  std::copy_n(out + 1, 32, point.x.buffer);
  std::copy_n(out + 33, 32, point.y.buffer);
  OPENSSL_free(out);
}

template <class Sized>
void set(Sized& sized, std::uint8_t* buffer, ByteView bytes) {
  sized.size = static_cast<UINT16>(bytes.size());
  std::copy(bytes.begin(), bytes.end(), buffer);
}

Bytes marshalled(const TPM2B_PUBLIC& area) {
  return tpm::marshal_public(area.publicArea).value();
}

Bytes qualified(TPM2_HANDLE hierarchy, const TPM2B_PUBLIC& area) {
  return tpm::qualified_name(tpm::hierarchy_name(hierarchy), tpm::name_of(area).value()).value();
}

SignedAttest sign_with(EVP_PKEY* key, const TPMS_ATTEST& attest) {
  SignedAttest result{tpm::marshal_attest(attest).value(), {}};
  const Bytes raw = tokens::signature_from_der(sign(key, result.attest), 64).value();
  TPMT_SIGNATURE signature{};
  signature.sigAlg = TPM2_ALG_ECDSA;
  TPMS_SIGNATURE_ECC& ecdsa = signature.signature.ecdsa;
  ecdsa.hash = TPM2_ALG_SHA256;
  set(ecdsa.signatureR, ecdsa.signatureR.buffer, ByteView(raw).first(32));
  set(ecdsa.signatureS, ecdsa.signatureS.buffer, ByteView(raw).subspan(32));
  result.signature = tpm::marshal_signature(signature).value();
  return result;
}

std::string text_of(BIO* bio) {
  return ssl::bio_text(bio);
}

}  // namespace

ssl::Pkey share(const ssl::Pkey& key) {
  EVP_PKEY_up_ref(key.get());
  return ssl::Pkey(key.get());
}

ssl::Pkey make_key(std::string_view type) {
  static const ssl::Pkey rsa(EVP_RSA_gen(2048));
  if (type == "rsa-2048") return share(rsa);
  if (type == "rsa-3072") return ssl::Pkey(EVP_RSA_gen(3072));
  return ssl::Pkey(EVP_EC_gen(std::string(type).c_str()));
}

std::string pem_of(X509* certificate) {
  const ssl::Bio bio(BIO_new(BIO_s_mem()));
  PEM_write_bio_X509(bio.get(), certificate);
  return text_of(bio.get());
}

std::string public_pem(EVP_PKEY* key) {
  const ssl::Bio bio(BIO_new(BIO_s_mem()));
  PEM_write_bio_PUBKEY(bio.get(), key);
  return text_of(bio.get());
}

Bytes der_of(X509* certificate) {
  return ssl::to_der<const X509>(i2d_X509, certificate);
}

Bytes sign(EVP_PKEY* key, ByteView message) {
  const std::unique_ptr<EVP_MD_CTX, ssl::Free<EVP_MD_CTX_free>> context(EVP_MD_CTX_new());
  Bytes der(1024);
  std::size_t size = der.size();
  require(EVP_DigestSignInit(context.get(), nullptr, EVP_sha256(), nullptr, key) == 1 &&
              EVP_DigestSign(context.get(), der.data(), &size, message.data(), message.size()) == 1,
          "EVP_DigestSign");
  der.resize(size);
  return der;
}

CertificateFields ek_fields(std::string_view key_type) {
  CertificateFields fields;
  if (!key_type.starts_with("rsa")) fields.key_usage = "critical,keyAgreement";
  return fields;
}

CertificateFields platform_fields() {
  CertificateFields fields;
  fields.extended_usage = "2.23.133.8.2";
  fields.alternative_name = {
      {"2.23.133.5.1.1", "ExampleMaker"}, {"2.23.133.5.1.4", "XR-UE-1"}, {"2.23.133.5.1.5", "2.1"}};
  return fields;
}

Authority Authority::root(const std::string& subject) {
  ssl::Pkey key = make_key("P-256");
  ssl::X509Ptr certificate = make(key.get(), ca_fields(subject), key.get(), nullptr);
  return {std::move(key), std::move(certificate)};
}

Authority Authority::intermediate(const std::string& subject) const {
  ssl::Pkey below = make_key("P-256");
  ssl::X509Ptr issued = issue(below.get(), ca_fields(subject));
  return {std::move(below), std::move(issued)};
}

ssl::X509Ptr Authority::issue(EVP_PKEY* subject_key, const CertificateFields& fields) const {
  return make(subject_key, fields, key.get(), certificate.get());
}

std::string Authority::crl(const std::vector<long>& revoked, UnixSeconds next_update) const {
  const ssl::X509Crl list(X509_CRL_new());
  X509_CRL_set_version(list.get(), X509_CRL_VERSION_2);
  X509_CRL_set_issuer_name(list.get(), X509_get_subject_name(certificate.get()));
  ASN1_TIME* time = ASN1_TIME_set(nullptr, now - 2 * day);
  X509_CRL_set1_lastUpdate(list.get(), time);
  for (const long serial : revoked) {
    const ssl::Integer number(ASN1_INTEGER_new());
    ASN1_INTEGER_set(number.get(), serial);
    X509_REVOKED* entry = X509_REVOKED_new();
    X509_REVOKED_set_serialNumber(entry, number.get());
    X509_REVOKED_set_revocationDate(entry, time);
    X509_CRL_add0_revoked(list.get(), entry);
  }
  ASN1_TIME_set(time, static_cast<std::time_t>(next_update));
  X509_CRL_set1_nextUpdate(list.get(), time);
  ASN1_TIME_free(time);
  X509_CRL_sign(list.get(), key.get(), EVP_sha256());
  const ssl::Bio bio(BIO_new(BIO_s_mem()));
  PEM_write_bio_X509_CRL(bio.get(), list.get());
  return text_of(bio.get());
}

std::string anchors_json(const std::string& kind, const std::string& vendor, const std::vector<AnchorOf>& anchors,
                         const std::vector<std::string>& crls) {
  boost::json::array list;
  for (const AnchorOf& anchor : anchors) {
    list.push_back({{"pem", pem_of(anchor.certificate)},
                    {"sha256", tokens::hex_encode(tokens::sha256(der_of(anchor.certificate)))},
                    {"partial_chain", anchor.partial}});
  }
  boost::json::object entry{{"vendor", vendor}, {"name", "a vendor"}, {"anchors", std::move(list)}};
  if (!crls.empty()) entry["crls"] = boost::json::value_from(crls);
  return boost::json::serialize(boost::json::object{
      {"kind", kind}, {"version", 3}, {"vendors", boost::json::array{boost::json::value(std::move(entry))}}});
}

SoftwareTpm::SoftwareTpm()
    : ak_area(tpm::ak_template({})),
      key_area(tpm::ue_key_template()),
      parent_area(tpm::srk_template()),
      ak_(make_key("P-256")),
      key_(make_key("P-256")),
      parent_(make_key("P-256")) {
  set_point(ak_area, ak_.get());
  set_point(key_area, key_.get());
  set_point(parent_area, parent_.get());
}

Claim SoftwareTpm::claim() const {
  return {{}, {}, "SN-1", marshalled(ak_area), marshalled(key_area), marshalled(parent_area)};
}

DeviceKeys SoftwareTpm::keys(const Policy& policy) const {
  return read_keys(marshalled(ak_area), marshalled(key_area), marshalled(parent_area), policy).value();
}

Bytes SoftwareTpm::request_info(const std::string& impu) const {
  return tokens::build_request_info(tpm::public_key_of(key_area).value(), "UE", {impu}).value();
}

Bytes SoftwareTpm::sign_request(ByteView info) const {
  const Bytes raw = tokens::signature_from_der(sign(key_.get(), info), 64).value();
  return tokens::assemble_request(info, tpm::public_key_of(key_area).value(), raw).value();
}

Bytes SoftwareTpm::request(const std::string& impu) const {
  return sign_request(request_info(impu));
}

TPMS_ATTEST SoftwareTpm::certify(ByteView binding) const {
  TPMS_ATTEST attest{};
  attest.magic = TPM2_GENERATED_VALUE;
  attest.type = TPM2_ST_ATTEST_CERTIFY;
  set(attest.qualifiedSigner, attest.qualifiedSigner.name, qualified(TPM2_RH_ENDORSEMENT, ak_area));
  set(attest.extraData, attest.extraData.buffer, binding);
  attest.clockInfo = {1000, 3, 1, TPM2_YES};
  attest.firmwareVersion = 0x0001000200030004;
  TPMS_CERTIFY_INFO& info = attest.attested.certify;
  const Bytes name = tpm::name_of(key_area).value();
  set(info.name, info.name.name, name);
  set(info.qualifiedName, info.qualifiedName.name,
      tpm::qualified_name(qualified(TPM2_RH_OWNER, parent_area), name).value());
  return attest;
}

TPMS_ATTEST SoftwareTpm::quote(ByteView binding, const PcrValues& pcrs) const {
  TPMS_ATTEST attest = certify(binding);
  attest.type = TPM2_ST_ATTEST_QUOTE;
  attest.clockInfo.clock += 5;
  attest.attested.quote = {};
  TPMS_QUOTE_INFO& info = attest.attested.quote;
  info.pcrSelect.count = 1;
  info.pcrSelect.pcrSelections[0].hash = TPM2_ALG_SHA256;
  info.pcrSelect.pcrSelections[0].sizeofSelect = 3;
  Bytes values;
  for (const auto& [pcr, value] : pcrs) {
    BYTE& byte = info.pcrSelect.pcrSelections[0].pcrSelect[pcr / 8];
    byte = static_cast<BYTE>(byte | 1U << (pcr % 8));
    values.insert(values.end(), value.begin(), value.end());
  }
  set(info.pcrDigest, info.pcrDigest.buffer, tokens::sha256(values));
  return attest;
}

SignedAttest SoftwareTpm::sign_attest(const TPMS_ATTEST& attest) const {
  return sign_with(ak_.get(), attest);
}

SignedAttest SoftwareTpm::sign_by_ue_key(const TPMS_ATTEST& attest) const {
  return sign_with(key_.get(), attest);
}

Policy policy(const std::string& more) {
  const std::string has_binding = more.find("binding") == std::string::npos ? "binding = [\"manifest\"]\n" : "";
  return Policy::parse("name = \"test\"\n" + has_binding + more, "test.toml").value();
}

}  // namespace avseal::attestation::testing
