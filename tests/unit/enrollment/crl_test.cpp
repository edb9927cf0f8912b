#include <openssl/x509.h>

#include "attested_site.hpp"
#include "enrollment/crl_publisher.hpp"
#include "tokens/openssl.hpp"

namespace avseal::enrollment {
namespace {

using test::TestDevice;

class Crl : public ::testing::Test, protected test::AttestedSite {
 protected:
  Result<void> refresh() {
    CrlDependencies with{*node.keyring, *node.ledger, node.store->ue_certificates(), node.store->document_versions(),
                         node.clock()};
    auto task = refresh_crl(std::move(with), shared->crl);
    return test::run(node.context, std::move(task));
  }
  http::Response fetch() {
    auto request = node.request(http::Method::get, "/enrollment/v1/crl", nullptr);
    return node.call(request);
  }
  // The one that is served, verified.
  tokens::ssl::X509Crl served() {
    const auto response = fetch();
    EXPECT_EQ(response.status, 200U);
    EXPECT_EQ(test::header_of(response, "content-type"), "application/pkix-crl");
    const auto* at = reinterpret_cast<const unsigned char*>(response.body.data());
    tokens::ssl::X509Crl crl(d2i_X509_CRL(nullptr, &at, static_cast<long>(response.body.size())));
    EXPECT_EQ(X509_CRL_verify(crl.get(), X509_get0_pubkey(ue_ca.certificate.native())), 1);
    return crl;
  }
  static std::int64_t number_of(X509_CRL* crl) {
    const tokens::ssl::Integer number(
        static_cast<ASN1_INTEGER*>(X509_CRL_get_ext_d2i(crl, NID_crl_number, nullptr, nullptr)));
    return ASN1_INTEGER_get(number.get());
  }
  static bool lists(X509_CRL* crl, const tokens::Certificate& certificate) {
    X509_REVOKED* entry = nullptr;
    return X509_CRL_get0_by_cert(crl, &entry, certificate.native()) == 1;
  }
};

TEST_F(Crl, IsThereOnceItWasSignedAndThenOnlyWhenSomethingIsDue) {
  EXPECT_EQ(fetch().status, 503U);
  ASSERT_TRUE(refresh());
  const auto first = served();
  EXPECT_EQ(number_of(first.get()), node.now);
  EXPECT_EQ(X509_CRL_get_REVOKED(first.get()), nullptr);
  const auto signatures = node.keyring->signatures;
  node.now += 24 * 3600 - 1;
  ASSERT_TRUE(refresh());
  EXPECT_EQ(node.keyring->signatures, signatures);
  node.now += 1;
  ASSERT_TRUE(refresh());
  EXPECT_EQ(node.keyring->signatures, signatures + 1) << "half of its life is over";
}

TEST_F(Crl, ListsWhatWasRevokedForWhateverCause) {
  TestDevice first(vendor, "SN-1");
  TestDevice second(vendor, "SN-2");
  list(first);
  list(second, "b2");
  const auto one = leaf(enrol(first, code(alice, false)));
  const auto two = leaf(enrol(second, code("sip:bob@a.example", false), "sip:bob@a.example"));
  ASSERT_TRUE(refresh());
  const auto before = served();
  EXPECT_FALSE(lists(before.get(), one));
  act("devices/" + first.id() + "/revoke", {{"reason", "stolen"}});
  EXPECT_TRUE(shared->crl.take_changed());
  ASSERT_TRUE(refresh());
  const auto after = served();
  EXPECT_TRUE(lists(after.get(), one));
  EXPECT_FALSE(lists(after.get(), two));
  EXPECT_GT(number_of(after.get()), number_of(before.get())) << "in the same second";
  act("device-revocations", {{"batch", "b2"}, {"reason", "leak"}});
  ASSERT_TRUE(refresh());
  EXPECT_TRUE(lists(served().get(), two));
}

TEST_F(Crl, StaysWhatItIsWhileTheHsmIsAway) {
  ASSERT_TRUE(refresh());
  const auto before = fetch().body;
  node.now += 24 * 3600;
  node.keyring->failure = errors::make(Category::unavailable, "hsm-unavailable", "no worker");
  EXPECT_EQ(refresh().error().reason, "hsm-unavailable");
  EXPECT_EQ(fetch().body, before);
  node.keyring->failure.reset();
  ASSERT_TRUE(refresh());
  EXPECT_NE(fetch().body, before);
}

}  // namespace
}  // namespace avseal::enrollment
