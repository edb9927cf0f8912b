#include "attestation/documents.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "attestation/manifest.hpp"
#include "attestation/pcr_sets.hpp"
#include "attestation/trust.hpp"
#include "tests/unit/attestation/maker.hpp"
#include "tests/unit/support/temp_dir.hpp"

namespace avseal::attestation {
namespace {

using namespace testing;
using ::testing::HasSubstr;

class DocumentsTest : public ::testing::Test {
 protected:
  std::filesystem::path write(const std::string& name, const std::string& text) {
    dir_.write(name + ".sig", as_text(sign(key_.get(), as_bytes(text))));
    return dir_.write(name, text);
  }
  test::TempDir dir_;
  ssl::Pkey key_ = make_key("P-256");
  DocumentSigner signer_ = DocumentSigner::from_pem(public_pem(key_.get())).value();
};

TEST_F(DocumentsTest, OnlyTheSignersDocumentsAreRead) {
  const auto file = write("d.json", "content");
  EXPECT_EQ(load_document(file, signer_).value(), "content");
  dir_.write("d.json", "contemt");
  EXPECT_EQ(load_document(file, signer_).error().reason, "document-signature");
  dir_.write("d.json", "content");
  const auto other = DocumentSigner::from_pem(public_pem(make_key("P-256").get())).value();
  EXPECT_EQ(load_document(file, other).error().reason, "document-signature");
  dir_.write("d.json.sig", "");
  EXPECT_EQ(load_document(file, signer_).error().reason, "document-signature");
  std::filesystem::remove(dir_ / "d.json.sig");
  const auto unsigned_document = load_document(file, signer_);
  EXPECT_EQ(unsigned_document.error().reason, "document-unreadable");
  EXPECT_THAT(unsigned_document.error().detail, HasSubstr("d.json.sig"));
}

TEST_F(DocumentsTest, SignerIsACertificateOrAKeyOfEnoughStrength) {
  const Authority root = Authority::root("maker");
  const auto by_certificate = DocumentSigner::from_pem(pem_of(root.certificate.get()));
  EXPECT_TRUE(by_certificate.value().verify("text", sign(root.key.get(), as_bytes("text"))));
  const ssl::Pkey rsa = make_key("rsa-2048");
  EXPECT_TRUE(DocumentSigner::from_pem(public_pem(rsa.get())).value().verify("t", sign(rsa.get(), as_bytes("t"))));
  const ssl::Pkey weak(EVP_RSA_gen(1024));
  EXPECT_EQ(DocumentSigner::from_pem(public_pem(weak.get())).error().reason, "document-signer-invalid");
  EXPECT_EQ(DocumentSigner::from_pem(public_pem(make_key("P-192").get())).error().reason, "document-signer-invalid");
  EXPECT_EQ(DocumentSigner::from_pem("nothing").error().reason, "document-signer-invalid");
  EXPECT_EQ(DocumentSigner::load(dir_ / "absent.pem").error().reason, "document-unreadable");
}

// The command that the documentation gives.
TEST_F(DocumentsTest, OpensslSignsThem) {
  const std::string commands = "cd '" + dir_.path().string() +
                               "' && openssl ecparam -name prime256v1 -genkey -noout -out key.pem && openssl ec -in "
                               "key.pem -pubout -out pub.pem 2>/dev/null && printf content >FILE && openssl dgst "
                               "-sha256 -sign key.pem -out FILE.sig FILE";
  ASSERT_EQ(std::system(commands.c_str()), 0);
  EXPECT_EQ(load_document(dir_ / "FILE", DocumentSigner::load(dir_ / "pub.pem").value()).value(), "content");
}

constexpr std::string_view pcr_value = "00000000000000000000000000000000000000000000000000000000000000ab";

std::string pcr_sets_json() {
  return R"({"kind": "pcr-sets", "version": 4, "sets": [{"name": "fw-2.1", "bank": "sha256", "pcrs": {"0": ")" +
         std::string(pcr_value) + R"(", "7": ")" + std::string(pcr_value) + R"("}}]})";
}

TEST_F(DocumentsTest, TrustIsLoadedFromItsFilesAndFitsTheProfile) {
  const Authority root = Authority::root("root");
  TrustFiles files{write("ek.json", anchors_json("ek-anchors", std::string(st), {{root.certificate.get()}})), {}, {}};
  const Trust bare = Trust::load(files, signer_).value();
  EXPECT_TRUE(bare.check(policy()));
  EXPECT_EQ(bare.check(policy("binding = [\"platform-certificate\"]")).error().reason, "configuration-invalid");
  EXPECT_EQ(bare.check(policy("quote.pcrs = [0]")).error().reason, "configuration-invalid");

  files.platform_anchors =
      write("platform.json", anchors_json("platform-anchors", "ExampleMaker", {{root.certificate.get()}}));
  files.pcr_sets = write("pcrs.json", pcr_sets_json());
  const Trust whole = Trust::load(files, signer_).value();
  EXPECT_TRUE(whole.check(policy("binding = [\"platform-certificate\"]\nquote.pcrs = [0, 7]")));
  EXPECT_EQ(whole.check(policy("quote.pcrs = [0, 1]")).error().reason, "configuration-invalid");

  files.platform_anchors = files.ek_anchors;
  const auto confused = Trust::load(files, signer_);
  EXPECT_EQ(confused.error().reason, "anchors-invalid");
  EXPECT_THAT(confused.error().detail, HasSubstr("ek.json"));
}

TEST(PcrSetsTest, SetIsFoundByEveryGivenValue) {
  const PcrSets sets = PcrSets::parse(pcr_sets_json()).value();
  EXPECT_EQ(sets.version, 4);
  const tokens::Sha256 golden = parse_pcr_value(pcr_value).value();
  EXPECT_EQ(sets.find({{0, golden}})->name, "fw-2.1");
  EXPECT_NE(sets.find({{0, golden}, {7, golden}}), nullptr);
  EXPECT_EQ(sets.find({{0, golden}, {7, tokens::Sha256{}}}), nullptr);
  EXPECT_EQ(sets.find({{0, golden}, {1, golden}}), nullptr) << "not in the set";
}

TEST(PcrSetsTest, DocumentIsStrict) {
  const std::string good = pcr_sets_json();
  const auto refused = [&](std::string_view from, std::string_view to) {
    std::string text = good;
    const auto parsed = PcrSets::parse(text.replace(text.find(from), from.size(), to));
    return parsed ? std::string() : std::string(parsed.error().reason);
  };
  for (const auto& [from, to] :
       std::vector<std::pair<std::string_view, std::string_view>>{{"pcr-sets", "pcr-set"},
                                                                  {"4", "0"},
                                                                  {"sha256", "sha1"},
                                                                  {"\"0\"", "\"24\""},
                                                                  {"\"0\"", "\"00\""},
                                                                  {"\"0\"", "\"\""},
                                                                  {"\"0\"", "\"-1\""},
                                                                  {"00ab", "ab"},
                                                                  {"00ab", "00xy"},
                                                                  {"fw-2.1", ""},
                                                                  {"\"sets\": [", "\"sets\": [], \"more\": ["}}) {
    const std::string reason = refused(from, to);
    EXPECT_TRUE(reason == "pcr-sets-malformed" || reason == "member-unknown") << to << " " << reason;
  }
  EXPECT_EQ(PcrSets::parse("{\"kind\":\"pcr-sets\",\"version\":1,\"sets\":[]}").error().reason, "pcr-sets-malformed");
}

const std::string ek(64, 'a');
const std::string head = "# maker: ExampleMaker\n# version: 7\nek_sha256,serial,model,batch\n";

TEST(ManifestTest, CsvAndJsonSayTheSame) {
  const auto csv = Manifest::parse(head + std::string(64, 'A') + ",SN-1,XR-UE-1,2026-11\r\n" + std::string(64, 'b') +
                                   ",SN-2,XR UE 2,2026-12");
  const auto json = Manifest::parse(R"({"kind": "device-manifest", "maker": "ExampleMaker", "version": 7, "devices": [
    {"ek_sha256": ")" + ek + R"(", "serial": "SN-1", "model": "XR-UE-1", "batch": "2026-11"},
    {"ek_sha256": ")" + std::string(64, 'b') +
                                    R"(", "serial": "SN-2", "model": "XR UE 2", "batch": "2026-12"}]})");
  ASSERT_TRUE(csv) << csv.error().detail;
  ASSERT_TRUE(json) << json.error().detail;
  for (const Manifest& manifest : {*csv, *json}) {
    EXPECT_EQ(manifest.maker, "ExampleMaker");
    EXPECT_EQ(manifest.version, 7);
    ASSERT_EQ(manifest.devices.size(), 2U);
    EXPECT_EQ(manifest.devices[0].device, ek);
    EXPECT_EQ(manifest.devices[0].serial, "SN-1");
    EXPECT_EQ(manifest.devices[1].model, "XR UE 2");
    EXPECT_EQ(manifest.devices[1].batch, "2026-12");
  }
}

TEST(ManifestTest, MistakesAreRefusedWithTheirLine) {
  const std::string good = ek + ",SN-1,XR-UE-1,2026-11\n";
  ASSERT_TRUE(Manifest::parse(head + good));
  const std::vector<std::pair<std::string, std::string>> bad{
      {"", "line 1"},
      {"# maker: \n# version: 7\n", "line 1"},
      {"# maker: M\n", "line 2"},
      {"# maker: M\n# version: 0\n", "line 2"},
      {"# maker: M\n# version: 7x\n", "line 2"},
      {"# maker: M\n# version: 7\nek_sha256,serial,model\n" + good, "line 3"},
      {"# maker: M\n# version: 7\nek_sha256,serial,model,batch,impu\n" + good, "line 3"},
      {head + good + good, "line 5"},  // twice
      {head + good + "\n", "line 5"},
      {head + ek + ",SN-1,XR-UE-1\n", "line 4"},
      {head + ek + ",SN-1,XR-UE-1,b,sip:alice@a.example\n", "line 4"},
      {head + ek + "a,SN-1,XR-UE-1,b\n", "line 4"},
      {head + ek + ",,XR-UE-1,b\n", "line 4"},
      {head + ek + ",\"SN\",XR-UE-1,b\n", "line 4"},
      {head + ek + ", SN,XR-UE-1,b\n", "line 4"},
      {head + ek + ",S\x01N,XR-UE-1,b\n", "line 4"},
      {head + ek + "," + std::string(65, 's') + ",XR-UE-1,b\n", "line 4"},
      {head, "at least one"}};
  for (const auto& [text, said] : bad) {
    const auto parsed = Manifest::parse(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_EQ(parsed.error().reason, "manifest-malformed") << text;
    EXPECT_THAT(parsed.error().detail, HasSubstr(said)) << text;
  }
}

// A manifest proves devices; whose IMPU they serve, only the operator says.
TEST(ManifestTest, ImpuHasNoPlaceInIt) {
  const auto parsed =
      Manifest::parse(R"({"kind": "device-manifest", "maker": "M", "version": 1, "devices": [{"ek_sha256": ")" + ek +
                      R"(", "serial": "s", "model": "m", "batch": "b", "impu": "sip:alice@a.example"}]})");
  ASSERT_FALSE(parsed);
  EXPECT_EQ(parsed.error().reason, "member-unknown");
  EXPECT_EQ(parsed.error().param, "/devices/0/impu");
}

}  // namespace
}  // namespace avseal::attestation
