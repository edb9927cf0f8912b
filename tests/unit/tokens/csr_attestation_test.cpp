#include "tokens/csr_attestation.hpp"

#include <cstdlib>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support.hpp"
#include "tests/unit/support/temp_dir.hpp"
#include "tokens/base64.hpp"
#include "tokens/certificate_request.hpp"
#include "tokens/der.hpp"
#include "tokens/digest.hpp"
#include "tokens/enrolment_binding.hpp"

namespace avseal::tokens {
namespace {

const testing::SigningKey key;
const AttestationStatement statement{Bytes(173, 0xA7), Bytes(72, 0x51), Bytes(88, 0x23)};

Bytes request_info() {
  return build_request_info(key.public_key(), "UE", {"sip:alice@a.example"}).value();
}

Bytes signed_request(ByteView info) {
  return assemble_request(info, key.public_key(), key.sign(as_text(info))).value();
}

// A request whose attestation attribute has other values than a set of one bundle.
std::string reason_of(const Bytes& attribute_values) {
  const Bytes oid = *hex_decode("060b2a864886f70d010910023b");
  Bytes attribute = oid;
  attribute.insert(attribute.end(), attribute_values.begin(), attribute_values.end());
  const Bytes one = der::element(der::sequence, attribute);
  ByteView info_view;
  const Bytes info = request_info();
  info_view = info;
  ByteView content = *der::take(info_view, der::sequence);
  Bytes head;
  for (int i = 0; i < 3; ++i) {
    const auto part = *der::take(content);
    head.insert(head.end(), part.whole.begin(), part.whole.end());
  }
  const Bytes attributes = der::element(0xA0, one);
  head.insert(head.end(), attributes.begin(), attributes.end());
  const auto found = attestation_of(signed_request(der::element(der::sequence, head)));
  return found ? "" : std::string(found.error().reason);
}

TEST(CsrAttestationTest, StatementComesBackAndTheRestIsWhatItWasBoundTo) {
  const Bytes info = request_info();
  const Bytes attested = add_attestation(info, statement).value();
  const auto found = attestation_of(signed_request(attested)).value();
  ASSERT_TRUE(found);
  EXPECT_EQ(found->statement.attest, statement.attest);
  EXPECT_EQ(found->statement.signature, statement.signature);
  EXPECT_EQ(found->statement.key, statement.key);
  EXPECT_EQ(found->request_info, info);
  EXPECT_TRUE(CertificateRequest::from_der(signed_request(attested)));

  const Bytes bare = build_request_info(key.public_key(), "UE", {}).value();
  const Bytes bare_attested = add_attestation(bare, {statement.attest, statement.signature, {}}).value();
  const auto without_key = attestation_of(signed_request(bare_attested)).value();
  EXPECT_TRUE(without_key->statement.key.empty());
  EXPECT_EQ(without_key->request_info, bare);
}

TEST(CsrAttestationTest, RequestWithoutItIsOrdinary) {
  EXPECT_FALSE(attestation_of(signed_request(request_info())).value());
  EXPECT_EQ(attestation_of(Bytes{0x30, 0x00}).error().reason, "csr-attestation-malformed");
  EXPECT_EQ(attestation_of({}).error().reason, "csr-attestation-malformed");
}

TEST(CsrAttestationTest, OnlyOneStatementIsAdded) {
  const Bytes attested = add_attestation(request_info(), statement).value();
  EXPECT_EQ(add_attestation(attested, statement).error().reason, "certificate-request-invalid");
  EXPECT_EQ(add_attestation(Bytes{1, 2, 3}, statement).error().reason, "certificate-request-invalid");
}

TEST(CsrAttestationTest, OtherFormsAreRefused) {
  const auto seq = [](ByteView content) { return der::element(der::sequence, content); };
  const Bytes oid = *hex_decode("06056781051401");
  const auto bundle_of = [&](const Bytes& fields) {
    Bytes one = oid;
    const Bytes all = seq(fields);
    one.insert(one.end(), all.begin(), all.end());
    return der::element(der::set, seq(seq(seq(one))));
  };
  const Bytes two = *hex_decode("04010104010a");
  EXPECT_EQ(reason_of(bundle_of(two)), "");
  EXPECT_EQ(reason_of(bundle_of(*hex_decode("040101"))), "csr-attestation-malformed");
  EXPECT_EQ(reason_of(bundle_of(*hex_decode("04010104010a0400"))), "csr-attestation-malformed") << "empty key";
  EXPECT_EQ(reason_of(bundle_of(*hex_decode("04010104010a04010504010a"))), "csr-attestation-malformed");
  EXPECT_EQ(reason_of(bundle_of(*hex_decode("0481010104010a"))), "csr-attestation-malformed") << "BER length";
  EXPECT_EQ(reason_of(der::element(der::set, {})), "csr-attestation-malformed");
  EXPECT_EQ(reason_of(der::element(der::set, seq(seq({})))), "csr-attestation-malformed");
  Bytes other_type = bundle_of(two);
  other_type[other_type.size() - 9] ^= 1U;  // the last octet of the statement's OID
  EXPECT_EQ(reason_of(other_type), "csr-attestation-malformed");
}

// The sample of the draft's working group, with an RSA key: openssl shows our attribute where it shows that one.
TEST(CsrAttestationTest, OpensslSeesTheAttribute) {
  const avseal::test::TempDir dir;
  dir.write("csr.pem", request_pem(signed_request(add_attestation(request_info(), statement).value())));
  const std::string command = "cd '" + dir.path().string() +
                              "' && openssl req -in csr.pem -verify -noout 2>verified && openssl asn1parse -in csr.pem "
                              ">parsed && grep -q 1.2.840.113549.1.9.16.2.59 parsed && grep -q 2.23.133.20.1 parsed";
  EXPECT_EQ(std::system(command.c_str()), 0);
}

TEST(EnrolmentBindingTest, IsTheHashOfItsLengthPrefixedParts) {
  const auto impu = Impu::parse("sip:alice@a.example").value();
  const Bytes nonce(32, 1);
  const Bytes digest(32, 2);
  Bytes expected(as_bytes("avseal-enroll-v1").begin(), as_bytes("avseal-enroll-v1").end());
  const auto add = [&](ByteView part) {
    expected.insert(expected.end(), {0, 0, 0, static_cast<std::uint8_t>(part.size())});
    expected.insert(expected.end(), part.begin(), part.end());
  };
  add(nonce);
  add(digest);
  add(as_bytes("sip:alice@a.example"));
  add(as_bytes("https://a"));
  EXPECT_EQ(qualifying_data({nonce, digest, impu, "https://a"}), sha256(expected));
  EXPECT_NE(qualifying_data({Bytes(31, 1), digest, impu, "https://a"}),
            qualifying_data({nonce, digest, impu, "https://a"}));
}

TEST(DerTest, TakesDerOnly) {
  const auto takes = [](const char* hex) {
    const Bytes bytes = *hex_decode(hex);
    ByteView view = bytes;
    return der::take(view).has_value();
  };
  EXPECT_TRUE(takes("0400"));
  EXPECT_TRUE(takes("040101"));
  EXPECT_FALSE(takes(""));
  EXPECT_FALSE(takes("04"));
  EXPECT_FALSE(takes("040201")) << "cut off";
  EXPECT_FALSE(takes("0480")) << "indefinite";
  EXPECT_FALSE(takes("04810101")) << "not the shortest length";
  EXPECT_FALSE(takes("0482")) << "length cut off";
  EXPECT_FALSE(takes("1f0100")) << "long tag";
  for (const std::size_t size : {0U, 127U, 128U, 255U, 256U, 65536U}) {
    const Bytes bytes = der::element(der::octet_string, Bytes(size));
    ByteView view = bytes;
    const auto element = der::take(view);
    ASSERT_TRUE(element) << size;
    EXPECT_EQ(element->content.size(), size);
    EXPECT_EQ(element->whole.size(), bytes.size());
    EXPECT_TRUE(view.empty());
  }
}

}  // namespace
}  // namespace avseal::tokens
