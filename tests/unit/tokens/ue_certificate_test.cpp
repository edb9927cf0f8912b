#include <gtest/gtest.h>

#include "support.hpp"
#include "tokens/base64.hpp"
#include "tokens/certificate_request.hpp"
#include "tokens/digest.hpp"
#include "tokens/openssl.hpp"

namespace avseal::tokens {
namespace {

using testing::Authority;
using testing::day;
using testing::now;
using testing::SigningKey;

Bytes random_serial() {
  Bytes serial = random_bytes(16);
  serial[0] &= 0x7FU;
  return serial;
}

class UeCertificate : public ::testing::Test {
 protected:
  Authority issuer = Authority::root("UE CA");
  SigningKey key;
  UeCertificateFields fields{key.public_key(), Impu::parse("sip:alice@a.example").value(), random_serial(), now,
                             now + 7 * day};

  Bytes tbs() { return build_ue_tbs(fields, issuer.certificate).value(); }
  std::string_view verdict(ByteView bytes, std::int64_t limit = 7 * day) const {
    const auto checked = check_ue_tbs(bytes, issuer.certificate, limit);
    return checked ? std::string_view("ok") : checked.error().reason;
  }

  // The TBS of a certificate that was made otherwise.
  static Bytes tbs_of(const Certificate& certificate) {
    unsigned char* out = nullptr;
    const int size = i2d_re_X509_tbs(certificate.native(), &out);
    Bytes bytes(out, out + size);
    OPENSSL_free(out);
    return bytes;
  }
};

TEST_F(UeCertificate, built_checked_signed_and_trusted) {
  const Bytes bytes = tbs();
  EXPECT_EQ(verdict(bytes), "ok") << check_ue_tbs(bytes, issuer.certificate, 7 * day).error().detail;
  const auto certificate = assemble_certificate(bytes, issuer.certificate, issuer.key.sign(as_text(bytes)));
  ASSERT_TRUE(certificate) << certificate.error().detail;
  EXPECT_EQ(certificate->san_uris(), std::vector<std::string>{"sip:alice@a.example"});
  EXPECT_TRUE(certificate->has_ue_eku());
  EXPECT_TRUE(certificate->has_digital_signature());
  EXPECT_FALSE(certificate->is_ca());
  EXPECT_EQ(certificate->public_key(), key.public_key());
  EXPECT_EQ(certificate->subject(), "");
  EXPECT_EQ(certificate->issuer(), "CN=UE CA");
  EXPECT_EQ(certificate->serial_hex(), hex_encode(fields.serial));
  EXPECT_EQ(certificate->not_before(), now);
  EXPECT_EQ(certificate->not_after(), now + 7 * day);
  EXPECT_TRUE(issuer.anchors().verify(*certificate, {}, now));
}

TEST_F(UeCertificate, of_an_issuer_with_P_384) {
  issuer = Authority::root("large UE CA", Algorithm::es384);
  const Bytes bytes = tbs();
  EXPECT_EQ(verdict(bytes), "ok");
  EXPECT_TRUE(assemble_certificate(bytes, issuer.certificate, issuer.key.sign(as_text(bytes))));
}

TEST_F(UeCertificate, of_a_tel_URI) {
  fields.impu = Impu::parse("tel:+1-703-555-0001").value();
  EXPECT_EQ(verdict(tbs()), "ok");
}

TEST_F(UeCertificate, assembling_needs_the_issuers_signature) {
  const Bytes bytes = tbs();
  EXPECT_EQ(assemble_certificate(bytes, issuer.certificate, key.sign(as_text(bytes))).error().reason,
            "signature-invalid");
}

TEST_F(UeCertificate, building_refuses_other_keys_and_poor_serials) {
  const auto refused = [&] { return build_ue_tbs(fields, issuer.certificate).has_error(); };
  for (const Bytes& serial : {Bytes(), Bytes(16, 0), Bytes(16, 0x01), Bytes{1, 2, 3, 4, 5, 6, 7, 8}, Bytes(21, 0x11),
                              Bytes{0x80, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}}) {
    fields.serial = serial;
    EXPECT_TRUE(refused()) << hex_encode(serial);
  }
  fields.serial = random_serial();
  EXPECT_FALSE(refused());
  fields.key = SigningKey(Algorithm::es384).public_key();
  EXPECT_TRUE(refused());
}

TEST_F(UeCertificate, check_refuses_other_bytes) {
  Bytes bytes = tbs();
  bytes.push_back(0);
  EXPECT_EQ(verdict(bytes), "tbs-refused");
  bytes.resize(bytes.size() - 2);
  EXPECT_EQ(verdict(bytes), "tbs-refused");
  EXPECT_EQ(verdict({}), "tbs-refused");
  EXPECT_EQ(verdict(as_bytes("eyJhbGciOiJFUzI1NiJ9.e30")), "tbs-refused");
  EXPECT_EQ(verdict(Bytes(9000, 0x30)), "tbs-refused");
}

TEST_F(UeCertificate, check_refuses_another_issuer) {
  const Authority other = Authority::root("other CA");
  EXPECT_EQ(verdict(build_ue_tbs(fields, other.certificate).value()), "tbs-refused");
  const Authority namesake = Authority::root("UE CA");  // another key: the authority key identifier differs
  EXPECT_EQ(verdict(build_ue_tbs(fields, namesake.certificate).value()), "tbs-refused");
}

TEST_F(UeCertificate, check_bounds_validity) {
  EXPECT_EQ(verdict(tbs(), 7 * day - 1), "tbs-refused");
  fields.not_after = fields.not_before;
  EXPECT_EQ(verdict(tbs()), "tbs-refused");
  fields.not_before = now + 25 * day;
  fields.not_after = now + 31 * day;  // the issuer lives 30 days
  EXPECT_EQ(verdict(tbs()), "tbs-refused");
  fields.not_before = now - 31 * day;
  fields.not_after = now - 30 * day;
  EXPECT_EQ(verdict(tbs()), "tbs-refused");
}

// Certificates that the same CA key could sign, were it not for the check.
struct Foreign {
  const char* what;
  void (*change)(testing::CertificateOptions&);
};
class ForeignCertificate : public UeCertificate, public ::testing::WithParamInterface<Foreign> {};
TEST_P(ForeignCertificate, is_refused) {
  auto options = testing::ue_options("sip:alice@a.example");
  GetParam().change(options);
  EXPECT_EQ(verdict(tbs_of(issuer.issue(key.public_key(), options)), 100 * day), "tbs-refused") << GetParam().what;
}
INSTANTIATE_TEST_SUITE_P(table, ForeignCertificate,
                         ::testing::Values(Foreign{"CA", [](auto& o) { o = testing::ca_options("ca"); }},
                                           Foreign{"operator's signer", [](auto& o) { o.extended_key_usage = ""; }},
                                           Foreign{"TLS server",
                                                   [](auto& o) {
                                                     o.extended_key_usage = "serverAuth";
                                                     o.san = "DNS:a.example";
                                                   }},
                                           Foreign{"with subject", [](auto&) {}}));

// One thing altered in an otherwise good TBSCertificate.
struct Alteration {
  const char* what;
  void (*change)(X509*);
};
void PrintTo(const Alteration& alteration, std::ostream* out) {
  *out << alteration.what;
}

void replace_extension(X509* x509, int nid, const char* value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, x509, x509, nullptr, nullptr, 0);
  const int at = X509_get_ext_by_NID(x509, nid, -1);
  if (at >= 0) X509_EXTENSION_free(X509_delete_ext(x509, at));
  if (value == nullptr) return;
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value);
  X509_add_ext(x509, extension, -1);
  X509_EXTENSION_free(extension);
}

void set_serial(X509* x509, const Bytes& bytes) {
  const ssl::BigNum number(BN_bin2bn(bytes.data(), static_cast<int>(bytes.size()), nullptr));
  BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(x509));
}

class AlteredTbs : public UeCertificate, public ::testing::WithParamInterface<Alteration> {};
TEST_P(AlteredTbs, is_refused) {
  const Bytes good = tbs();
  const auto certificate = assemble_certificate(good, issuer.certificate, issuer.key.sign(as_text(good))).value();
  ASSERT_EQ(verdict(tbs_of(certificate)), "ok");
  GetParam().change(certificate.native());
  EXPECT_EQ(verdict(tbs_of(certificate)), "tbs-refused") << GetParam().what;
}
INSTANTIATE_TEST_SUITE_P(
    table, AlteredTbs,
    ::testing::Values(
        Alteration{"CA:TRUE", [](X509* x) { replace_extension(x, NID_basic_constraints, "critical,CA:TRUE"); }},
        Alteration{"path length", [](X509* x) { replace_extension(x, NID_basic_constraints, "critical,CA:FALSE,pathlen:0"); }},
        Alteration{"no constraints", [](X509* x) { replace_extension(x, NID_basic_constraints, nullptr); }},
        Alteration{"cert sign", [](X509* x) { replace_extension(x, NID_key_usage, "critical,digitalSignature,keyCertSign"); }},
        Alteration{"no key usage", [](X509* x) { replace_extension(x, NID_key_usage, nullptr); }},
        Alteration{"key usage not critical", [](X509* x) { replace_extension(x, NID_key_usage, "digitalSignature"); }},
        Alteration{"no EKU", [](X509* x) { replace_extension(x, NID_ext_key_usage, nullptr); }},
        Alteration{"TLS EKU", [](X509* x) { replace_extension(x, NID_ext_key_usage, "serverAuth"); }},
        Alteration{"two EKUs", [](X509* x) {
          replace_extension(x, NID_ext_key_usage, (std::string(ue_eku_oid) + ",serverAuth").c_str());
        }},
        Alteration{"two URIs", [](X509* x) { replace_extension(x, NID_subject_alt_name, "critical,URI:sip:a@b,URI:sip:c@b"); }},
        Alteration{"URI and DNS", [](X509* x) { replace_extension(x, NID_subject_alt_name, "critical,URI:sip:a@b,DNS:b"); }},
        Alteration{"DNS", [](X509* x) { replace_extension(x, NID_subject_alt_name, "critical,DNS:b"); }},
        Alteration{"not canonical", [](X509* x) { replace_extension(x, NID_subject_alt_name, "critical,URI:sip:a@B"); }},
        Alteration{"no IMPU", [](X509* x) { replace_extension(x, NID_subject_alt_name, "critical,URI:https://b/"); }},
        Alteration{"no SAN", [](X509* x) { replace_extension(x, NID_subject_alt_name, nullptr); }},
        Alteration{"one more extension", [](X509* x) { replace_extension(x, NID_netscape_comment, "x"); }},
        Alteration{"no AKI", [](X509* x) { replace_extension(x, NID_authority_key_identifier, nullptr); }},
        Alteration{"AKI of the subject", [](X509* x) { replace_extension(x, NID_authority_key_identifier, "keyid"); }},
        Alteration{"serial 1", [](X509* x) { set_serial(x, {1}); }},
        Alteration{"monotonous serial", [](X509* x) { set_serial(x, Bytes(16, 0x11)); }},
        Alteration{"long serial", [](X509* x) { set_serial(x, random_bytes(24)); }},
        Alteration{"negative serial", [](X509* x) {
          const ssl::BigNum number(BN_bin2bn(random_bytes(16).data(), 16, nullptr));
          BN_set_negative(number.get(), 1);
          BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(x));
        }},
        Alteration{"subject", [](X509* x) {
          X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_UTF8,
                                     reinterpret_cast<const unsigned char*>("x"), -1, -1, 0);
        }},
        Alteration{"issuer name", [](X509* x) {
          X509_NAME_add_entry_by_txt(X509_get_issuer_name(x), "OU", MBSTRING_UTF8,
                                     reinterpret_cast<const unsigned char*>("x"), -1, -1, 0);
        }},
        Alteration{"P-384 key", [](X509* x) { X509_set_pubkey(x, SigningKey(Algorithm::es384).native()); }},
        Alteration{"version 1", [](X509* x) { X509_set_version(x, X509_VERSION_1); }},
        Alteration{"another algorithm", [](X509* x) {
          X509_ALGOR_set0(const_cast<X509_ALGOR*>(X509_get0_tbs_sigalg(x)), OBJ_nid2obj(NID_ecdsa_with_SHA384),
                          V_ASN1_UNDEF, nullptr);
        }},
        Alteration{"algorithm parameters", [](X509* x) {
          X509_ALGOR_set0(const_cast<X509_ALGOR*>(X509_get0_tbs_sigalg(x)), OBJ_nid2obj(NID_ecdsa_with_SHA256),
                          V_ASN1_NULL, nullptr);
        }}));

class Request : public ::testing::Test {
 protected:
  SigningKey key;
  std::vector<std::string> uris{"sip:alice@a.example", "tel:+17035550001"};
  Bytes info = build_request_info(key.public_key(), "Alice's phone", uris).value();
};

TEST_F(Request, built_signed_and_read_again) {
  const auto der = assemble_request(info, key.public_key(), key.sign(as_text(info)));
  ASSERT_TRUE(der) << der.error().detail;
  const auto request = CertificateRequest::from_pem(request_pem(*der));
  ASSERT_TRUE(request) << request.error().detail;
  EXPECT_EQ(request->der, *der);
  EXPECT_EQ(request->key, key.public_key());
  EXPECT_EQ(request->san_uris, uris);
}

TEST_F(Request, without_URIs) {
  const Bytes plain = build_request_info(key.public_key(), "x", {}).value();
  const Bytes der = assemble_request(plain, key.public_key(), key.sign(as_text(plain))).value();
  EXPECT_TRUE(CertificateRequest::from_der(der).value().san_uris.empty());
}

TEST_F(Request, needs_proof_of_possession) {
  EXPECT_EQ(assemble_request(info, key.public_key(), SigningKey().sign(as_text(info))).error().reason,
            "signature-invalid");
  Bytes der = assemble_request(info, key.public_key(), key.sign(as_text(info))).value();
  der[der.size() - 1] ^= 1U;
  EXPECT_FALSE(CertificateRequest::from_der(der));
}

TEST_F(Request, refuses_damaged_input) {
  Bytes der = assemble_request(info, key.public_key(), key.sign(as_text(info))).value();
  der.push_back(0);
  EXPECT_EQ(CertificateRequest::from_der(der).error().reason, "certificate-request-malformed");
  EXPECT_FALSE(CertificateRequest::from_der({}));
  EXPECT_FALSE(CertificateRequest::from_pem("text"));
  EXPECT_FALSE(CertificateRequest::from_pem(std::string(100000, 'x')));
  EXPECT_FALSE(build_request_info(key.public_key(), "", {}));
  EXPECT_FALSE(build_request_info(key.public_key(), std::string(65, 'x'), {}));
  EXPECT_EQ(ERR_peek_error(), 0U) << "errors left on OpenSSL's queue";
}

}  // namespace
}  // namespace avseal::tokens
