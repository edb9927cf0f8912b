#include "audit/export.hpp"

#include <array>
#include <cstdio>

#include <openssl/ec.h>

#include "../signing/pki.hpp"
#include "../support/temp_dir.hpp"
#include "log_files.hpp"
#include "support.hpp"
#include "tlog/export_manifest.hpp"
#include "tlog/proof.hpp"
#include "tokens/base64.hpp"

namespace avseal::audit::test {
namespace {

namespace fs = std::filesystem;

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;
using ::testing::UnorderedElementsAre;

using avseal::test::Key;
using avseal::test::TempDir;

class ExportTest : public ::testing::Test {
 protected:
  static constexpr std::uint64_t size = 1000;
  static constexpr std::uint64_t signed_by_signer = 500;  // leaf

  void SetUp() override {
    Log leaves;
    leaves.start().loaded({loaded_key("avatar-id"), loaded_key("access-token"), loaded_key("ledger"),
                           named("signer", signer), named("signer-384", signer_384)});
    leaves.add("refusal", {{"text", "=1+1, \"quoted\"\n"}}, {}, "refused");
    for (std::uint64_t number = 1; leaves.leaves().size() < size; ++number) {
      if (leaves.leaves().size() == signed_by_signer) leaves.add("sign.shaken", {}, {use_of_signer()});
      leaves.sign(number);
    }
    LogFiles files(directory / "log", std::string(log_origin), key);
    for (const auto leaf : leaves.views()) {
      files.add(leaf);
      if (files.size() == 300) files.publish(), earlier = read_file(directory / "log" / "checkpoint");
    }
    head = files.publish();
  }

  static std::string kid_of_key(const Key& its) { return tokens::PublicKey(its).thumbprint(); }
  static boost::json::object named(std::string_view name, const Key& its) {
    return {{"key", name}, {"kid", kid_of_key(its)}, {"kind", "avatar-id"}, {"state", "active"}};
  }
  [[nodiscard]] boost::json::object use_of_signer() const {
    auto use = test::use("signer", 1);
    use["kid"] = kid_of_key(signer);
    return use;
  }
  [[nodiscard]] Chain chain_of(const Key& its) const {
    return {authority.issue(avseal::test::signer_subject(start_time / 1000), its), authority.certificate};
  }
  [[nodiscard]] Key key_of_log() const {
    return {key.public_key().native(), [](EVP_PKEY*) {}};
  }

  // The manifest is signed as the node does it.
  Result<void> make(std::uint64_t from, std::uint64_t to, bool is_signed = true) {
    const auto source = tlog::open_directory(directory / "log");
    tlog::Policy policy;
    policy.logs.push_back({key.verifier(std::string(log_origin)), {}});
    fs::remove_all(out);
    const ExportOptions how{from, to, held, out, is_signed, {}, certificates, find_certificate};
    AVSEAL_TRY(const auto exported, export_range(*source, policy, how, {}));
    const auto& manifest = exported.manifest;
    write_file(out / "manifest", is_signed ? key.sign_text(manifest, std::string(log_origin)) : manifest);
    uncertified = exported.uncertified;
    return {};
  }

  Result<Verified> check_into(Verdict& verdict, const std::vector<HeldNote>& mine = {}) const {
    const auto trust = Trust::of_keys({key.verifier(std::string(log_origin))});
    return check_export(out, trust, mine, verdict, {});
  }

  Verdict check(std::uint64_t leaves, const std::vector<HeldNote>& mine = {}) const {
    Verdict verdict;
    const auto checked = check_into(verdict, mine);
    EXPECT_TRUE(checked) << checked.error().detail;
    EXPECT_EQ(checked ? checked->read : 0, leaves);
    return verdict;
  }

  // What everybody can do with an export: alter files, make their sums anew, and a manifest that nobody signed.
  void pass_off() const {
    std::string sums;
    for (const auto& path : files()) {
      if (path != "SHA256SUMS" && path != "manifest") sums += digest_of(read_file(out / path)) + "  " + path + "\n";
    }
    pass_off(sums);
  }
  void pass_off(const std::string& sums) const {
    write_file(out / "SHA256SUMS", sums);
    const auto text = read_file(out / "manifest");
    const auto note = tlog::Note::parse(text);
    auto manifest = tlog::ExportManifest::parse(note ? note->text : text).value();
    manifest.files = {{tokens::sha256(as_bytes(sums)), "SHA256SUMS"}};
    write_file(out / "manifest", manifest.text());
  }
  [[nodiscard]] std::vector<std::string> files() const {
    std::vector<std::string> paths;
    for (const auto& entry : fs::recursive_directory_iterator(out)) {
      if (entry.is_regular_file()) paths.push_back(entry.path().lexically_relative(out).string());
    }
    return paths;
  }
  static std::string digest_of(std::string_view bytes) { return tokens::hex_encode(tokens::sha256(as_bytes(bytes))); }

  // What the commands of the README print.
  std::string follow_readme() {
    std::string script = "set -e\ncd " + out.string() + "\n";
    std::istringstream readme(read_file(out / "README"));
    for (std::string line; std::getline(readme, line);) {
      if (line.starts_with("    ")) script += line.substr(4) + "\n";
    }
    const auto file = directory.write("readme.sh", script);
    std::FILE* pipe = ::popen(fmt::format("PATH=/usr/bin:/bin sh {} 2>&1", file.string()).c_str(), "r");
    std::string printed;
    std::array<char, 4096> buffer{};
    while (std::fgets(buffer.data(), buffer.size(), pipe) != nullptr) printed += buffer.data();
    EXPECT_EQ(::pclose(pipe), 0) << printed;
    return printed;
  }
  static std::size_t count(std::string_view text, std::string_view what) {
    std::size_t found = 0;
    for (auto at = text.find(what); at != std::string_view::npos; at = text.find(what, at + 1)) ++found;
    return found;
  }

  TempDir directory;
  SoftwareKey key;
  fs::path out = directory.path() / "out";
  const avseal::test::Authority authority = avseal::test::Authority::create("CA", start_time / 1000);
  const Key signer = avseal::test::make_key();
  const Key signer_384{EVP_EC_gen("P-384"), EVP_PKEY_free};
  std::vector<CertificateFile> certificates;
  std::function<Result<Chain>(const std::string&)> find_certificate;
  std::vector<std::string> uncertified;
  std::vector<std::string> held;
  std::string earlier;
  tlog::Checkpoint head;
};

TEST_F(ExportTest, ProvesItselfForEveryRange) {
  const std::pair<std::uint64_t, std::uint64_t> ranges[] = {{0, 1},     {0, size},   {255, 257},  {256, 512},
                                                            {300, 301}, {999, 1000}, {768, 1000}, {1, 999}};
  for (const auto& [from, to] : ranges) {
    const auto made = make(from, to);
    ASSERT_TRUE(made) << made.error().detail;
    const auto verdict = check(to - from);
    EXPECT_TRUE(verdict.good()) << from << ": " << text_of(verdict);
    EXPECT_EQ(count(read_file(out / "entries.jsonl"), "\n"), to - from);
    EXPECT_EQ(count(read_file(out / "entries.csv"), "\r\n"), to - from + 1);
    const auto receipt = tlog::Proof::parse(read_file(out / "first.tlog-proof")).value();
    EXPECT_EQ(receipt.index, from);
    const auto named = Trust::of_keys({key.verifier(std::string(log_origin))}).check(receipt.checkpoint);
    EXPECT_TRUE(named && receipt.verify(tlog::leaf_hash(*receipt.extra), *named));
    EXPECT_EQ(count(follow_readme(), "\nOK\n"), 5U) << from << "\n" << read_file(out / "README");
  }
}

TEST_F(ExportTest, HasARowForASpreadsheet) {
  ASSERT_TRUE(make(2, 4));
  const auto csv = read_file(out / "entries.csv");
  EXPECT_THAT(csv, StartsWith("index,time,event,outcome,reason,client,actor,request,keys,details\r\n"
                              "2,2025-11-23T20:34:00.020Z,\"refusal\",\"refused\",\"\",\"\",\"\",\"\",\"\","
                              "\"{\"\"text\"\":\"\"=1+1, \\\"\"quoted\\\"\"\\n\"\"}\"\r\n"));
  EXPECT_THAT(csv, HasSubstr("\"sign.avatar-id\",\"released\",\"\",\"\",\"\",\"\",\"avatar-id\",\"\"\r\n"));
}

TEST_F(ExportTest, SaysThatNobodySignedItsManifest) {
  ASSERT_TRUE(make(5, 9, false));
  const auto verdict = check(4);
  EXPECT_TRUE(verdict.good());
  EXPECT_THAT(ids(verdict), Contains("manifest-unsigned"));
  EXPECT_EQ(count(follow_readme(), "\nOK\n"), 4U);
}

TEST_F(ExportTest, TakesCheckpointsAlong) {
  held = {earlier};
  ASSERT_TRUE(make(5, 9));
  EXPECT_THAT(text_of(check(4)), HasSubstr("checkpoint-continued | earlier/300.checkpoint"));
  write_file(out / "earlier/300.checkpoint", key.sign({std::string(log_origin), 299, {}}));
  EXPECT_THAT(ids(check(4)), AllOf(Contains("log-rewritten"), Contains("export-differs")));

  held = {key.sign({std::string(log_origin), 299, {}})};
  EXPECT_EQ(make(5, 9).error().reason, "consistency-wrong");
  held = {key.sign({"demo.example/node-1/2020", 299, {}})};
  EXPECT_EQ(make(5, 9).error().reason, "export-source");
}

TEST_F(ExportTest, ContinuesTheCheckpointsOfItsReader) {
  held = {earlier};
  ASSERT_TRUE(make(5, 9));
  const auto same = read_file(out / "checkpoint");
  const auto empty = key.sign({std::string(log_origin), 0, tlog::root_of_leaves({})});
  const auto verdict = check(4, {{"mine", earlier}, {"same", same}, {"empty", empty}});
  EXPECT_TRUE(verdict.good()) << text_of(verdict);
  for (const auto* name : {"mine", "same", "empty"}) {
    EXPECT_THAT(text_of(verdict), HasSubstr(fmt::format("checkpoint-continued | checkpoint {}", name)));
  }
}

// The operator signed two histories, and shows each reader one of them.
TEST_F(ExportTest, IsHeldToTheCheckpointsOfItsReader) {
  held = {earlier};
  ASSERT_TRUE(make(5, 9));
  const auto finding = [&](const tlog::Checkpoint& of) { return text_of(check(4, {{"mine", key.sign(of)}})); };
  const std::string origin(log_origin);
  EXPECT_THAT(finding({origin, 300, {}}), HasSubstr("log-rewritten | checkpoint mine"));
  EXPECT_THAT(finding({origin, size, {}}), HasSubstr("log-forked | checkpoint mine"));
  EXPECT_THAT(finding({origin, 0, {}}), HasSubstr("log-rewritten | checkpoint mine"));
  EXPECT_THAT(finding({"demo.example/node-1/2025", 300, {}}), HasSubstr("checkpoint-of-other-log | checkpoint mine"));
  EXPECT_THAT(text_of(check(4, {{"mine", SoftwareKey().sign({origin, 300, {}})}})),
              HasSubstr("checkpoint-unsigned | checkpoint mine"));
}

// Nothing here says that the log continues them: the verdict must not say so either.
TEST_F(ExportTest, IsNotGoodWhereItCannotBeHeldToACheckpoint) {
  ASSERT_TRUE(make(900, 910));
  EXPECT_TRUE(check(10).good());
  for (const auto& mine : {earlier, key.sign({std::string(log_origin), size + 1, {}})}) {
    const auto verdict = check(10, {{"mine", mine}});
    EXPECT_THAT(ids(verdict), ElementsAre("checkpoint-unproved")) << text_of(verdict);
  }
}

TEST_F(ExportTest, SaysWhichLeavesItIsAbout) {
  ASSERT_TRUE(make(5, 9));
  Verdict verdict;
  EXPECT_EQ(check_into(verdict).value().part, std::pair(std::uint64_t{5}, std::uint64_t{9}));
}

TEST_F(ExportTest, TakesCertificatesAlong) {
  certificates = {{"a", chain_of(signer)}, {"b", chain_of(signer_384)}, {"c", chain_of(key_of_log())}};
  certificates.push_back(certificates.front());
  ASSERT_TRUE(make(0, size));
  EXPECT_THAT(uncertified, ElementsAre(fmt::format("avatar-id (thumbprint {})", kid_of("avatar-id"))));
  const auto readme = read_file(out / "README");
  EXPECT_THAT(readme, HasSubstr("  avatar-id, first in entry 3: its certificate was not at hand\n"));
  EXPECT_THAT(readme, HasSubstr("  signer, first in entry 500: certificates/"));
  EXPECT_THAT(readme, HasSubstr("  signer-384, in no entry here: certificates/"));
  EXPECT_THAT(readme, HasSubstr("  (of the log), in no entry here: certificates/"));
  for (const auto& [name, chain] : certificates) {
    const auto pem = read_file(out / "certificates" / (chain.front().sha256_hex() + ".pem"));
    EXPECT_EQ(pem, chain[0].pem() + chain[1].pem());
  }
  const auto verdict = check(size);
  EXPECT_TRUE(verdict.good()) << text_of(verdict);
  EXPECT_EQ(count(text_of(verdict), "certificate-of-key | certificates/"), 3U);
  EXPECT_EQ(count(follow_readme(), "\nOK\n"), 5U + 3U) << readme;
}

TEST_F(ExportTest, AsksForCertificatesOfKeysThatSigned) {
  std::vector<std::string> asked;
  find_certificate = [&](const std::string& kid) -> Result<Chain> {
    asked.push_back(kid);
    return kid == kid_of_key(signer) ? chain_of(signer) : Chain();
  };
  ASSERT_TRUE(make(signed_by_signer, signed_by_signer + 2));
  EXPECT_THAT(asked,
              testing::UnorderedElementsAre(kid_of_key(signer), key.public_key().thumbprint(), kid_of("avatar-id")));
  EXPECT_THAT(uncertified, ElementsAre(StartsWith("avatar-id (")));
  EXPECT_EQ(count(follow_readme(), "\nOK\n"), 5U + 1U);
  asked.clear();
  certificates = {{"a", chain_of(signer)}};
  ASSERT_TRUE(make(signed_by_signer, signed_by_signer + 1));
  EXPECT_THAT(asked, ElementsAre(key.public_key().thumbprint()));
  certificates.clear();
  find_certificate = [&](const std::string&) -> Result<Chain> { return chain_of(signer_384); };
  EXPECT_EQ(make(signed_by_signer, signed_by_signer + 1).error().reason, "export-certificate");
}

TEST_F(ExportTest, RefusesCertificatesOfKeysThatNoEntryNames) {
  certificates = {{"other.pem", chain_of(avseal::test::make_key())}};
  const auto refused = make(0, size);
  EXPECT_EQ(refused.error().reason, "export-certificate");
  EXPECT_THAT(refused.error().detail, AllOf(StartsWith("other.pem: "), HasSubstr("no entry from 0 to 999 names")));
  certificates = {{"signer.pem", chain_of(signer)}};
  EXPECT_EQ(make(signed_by_signer + 1, size).error().reason, "export-certificate");
  EXPECT_TRUE(make(signed_by_signer, size));
  EXPECT_TRUE(make(1, 2)) << "keys.loaded names it";
}

// By whoever puts the sums right too: the manifest is not signed.
TEST_F(ExportTest, FindsExchangedCertificates) {
  certificates = {{"signer.pem", chain_of(signer)}};
  ASSERT_TRUE(make(signed_by_signer, size, false));
  const auto file = out / "certificates" / (certificates.front().chain.front().sha256_hex() + ".pem");
  const auto forged = chain_of(avseal::test::make_key()).front().pem();
  auto sums = read_file(out / "SHA256SUMS");
  const auto digest_of = [](std::string_view bytes) { return tokens::hex_encode(tokens::sha256(as_bytes(bytes))); };
  const auto was = digest_of(sums);
  sums.replace(sums.find(digest_of(read_file(file))), 64, digest_of(forged));
  auto manifest = read_file(out / "manifest");
  manifest.replace(manifest.find(was), 64, digest_of(sums));
  write_file(file, forged);
  write_file(out / "SHA256SUMS", sums);
  write_file(out / "manifest", manifest);
  EXPECT_THAT(ids(check(size - signed_by_signer)),
              testing::UnorderedElementsAre("manifest-unsigned", "export-certificate"));
  EXPECT_EQ(count(follow_readme(), "\nOK\n"), 4U);
  write_file(file, "no certificate");
  EXPECT_THAT(ids(check(size - signed_by_signer)), Contains("export-certificate"));
}

TEST_F(ExportTest, RefusesWhatItCannotProve) {
  EXPECT_EQ(make(5, 5).error().reason, "export-range");
  EXPECT_EQ(make(5, size + 1).error().reason, "export-range");
  ASSERT_TRUE(make(5, 9));
  {
    const auto source = tlog::open_directory(directory / "log");
    tlog::Policy policy;
    policy.logs.push_back({key.verifier(std::string(log_origin)), {}});
    EXPECT_EQ(export_range(*source, policy, {1, 2, {}, out, false}, {}).error().reason, "export-directory");
    policy.logs = {{SoftwareKey().verifier(std::string(log_origin)), {}}};
    fs::remove_all(out);
    EXPECT_EQ(export_range(*source, policy, {1, 2, {}, out, false}, {}).error().reason, "note-signature-missing");
  }
  auto bundle = read_file(directory / "log/tile/entries/000");
  bundle[200] = static_cast<char>(bundle[200] ^ 1);
  write_file(directory / "log/tile/entries/000", bundle);
  EXPECT_EQ(make(5, 9).error().reason, "export-source");
}

TEST_F(ExportTest, FindsEachAlteredFile) {
  ASSERT_TRUE(make(300, 310));
  for (const auto& entry : fs::recursive_directory_iterator(out)) {
    if (!entry.is_regular_file()) continue;
    const auto path = entry.path().lexically_relative(out).string();
    const auto bytes = read_file(entry.path());
    auto altered = bytes;
    altered[altered.size() / 2] = static_cast<char>(altered[altered.size() / 2] ^ 1);
    write_file(entry.path(), altered);
    Verdict verdict;
    const auto checked = check_into(verdict);
    if (path == "manifest") {
      EXPECT_TRUE(!checked || !verdict.good());
    } else {
      ASSERT_TRUE(checked);
      EXPECT_FALSE(verdict.good()) << path;
      EXPECT_THAT(text_of(verdict), HasSubstr(path)) << path;
    }
    write_file(entry.path(), bytes);
  }
}

// Whoever alters a file may put the sums right, and sign a manifest with a key of theirs.
TEST_F(ExportTest, FindsSumsAndManifestsThatWereMadeAnew) {
  ASSERT_TRUE(make(300, 310));
  const auto manifest = tlog::Note::parse(read_file(out / "manifest")).value();
  write_file(out / "manifest", SoftwareKey().sign_text(manifest.text, std::string(log_origin)));
  EXPECT_THAT(text_of(check(10)), HasSubstr("export-differs | manifest"));
  write_file(out / "manifest", manifest.to_string());

  auto sums = read_file(out / "SHA256SUMS");
  const auto file = read_file(out / "entries.csv");
  write_file(out / "entries.csv", file + "x");
  sums.replace(sums.find(digest_of(file)), 64, digest_of(file + "x"));
  write_file(out / "SHA256SUMS", sums);
  EXPECT_THAT(ids(check(10)), Each("export-differs"));
  EXPECT_THAT(text_of(check(10)), HasSubstr("export-differs | SHA256SUMS"));
}

TEST_F(ExportTest, FindsAlteredCopiesOfTheEntries) {
  for (const auto* name : {"entries.csv", "entries.jsonl"}) {
    ASSERT_TRUE(make(300, 310));
    auto text = read_file(out / name);
    pass_off();
    EXPECT_THAT(ids(check(10)), ElementsAre("manifest-unsigned"));
    text.replace(text.rfind("released"), 8, "refused.");
    write_file(out / name, text);
    pass_off();
    EXPECT_THAT(ids(check(10)), UnorderedElementsAre("export-differs", "manifest-unsigned"));
    EXPECT_THAT(text_of(check(10)), HasSubstr(fmt::format("export-differs | {} | ", name)));
    fs::remove(out / name);
    pass_off();
    EXPECT_THAT(text_of(check(10)), HasSubstr(fmt::format("export-differs | {} | it is missing", name)));
  }
}

TEST_F(ExportTest, FindsFilesThatNothingLists) {
  ASSERT_TRUE(make(300, 310));
  write_file(out / "entries-corrected.csv", "1,2,3");
  EXPECT_THAT(text_of(check(10)), HasSubstr("export-differs | entries-corrected.csv"));
  fs::remove(out / "entries-corrected.csv");
  fs::create_directory(out / "more");
  fs::create_symlink("/etc", out / "more/etc");
  EXPECT_THAT(text_of(check(10)), HasSubstr("export-differs | more/etc"));
  fs::remove_all(out / "more");
  EXPECT_TRUE(check(10).good());

  auto manifest = tlog::ExportManifest::parse(tlog::Note::parse(read_file(out / "manifest")).value().text).value();
  manifest.files = {{tokens::sha256(as_bytes(read_file(out / "README"))), "README"}};
  write_file(out / "manifest", key.sign_text(manifest.text(), std::string(log_origin)));
  EXPECT_THAT(text_of(check(10)), HasSubstr("export-differs | SHA256SUMS"));
}

// A log with two small files dropped in, which make an export of its first entry of it.
TEST_F(ExportTest, IsNoLog) {
  ASSERT_TRUE(make(0, 1));
  const auto manifest = read_file(out / "manifest");
  fs::remove_all(out);
  fs::copy(directory / "log", out, fs::copy_options::recursive);
  write_file(out / "manifest", manifest);
  pass_off("");
  EXPECT_FALSE(check(1).good());
}

TEST_F(ExportTest, MissesListedFiles) {
  ASSERT_TRUE(make(300, 310));
  pass_off(read_file(out / "SHA256SUMS") + digest_of("") + "  gone\n");
  EXPECT_THAT(text_of(check(10)), HasSubstr("export-differs | gone | it is missing"));
}

TEST_F(ExportTest, FindsCheckpointsThatAreNotItsOwn) {
  held = {earlier};
  ASSERT_TRUE(make(200, 210));
  write_file(out / "earlier/300.checkpoint", key.sign({"demo.example/node-1/2020", 300, {}}));
  EXPECT_THAT(text_of(check(10)), HasSubstr("checkpoint-of-other-log | earlier/300.checkpoint"));
  write_file(out / "earlier/300.checkpoint", key.sign({std::string(log_origin), size + 300, {}}));
  EXPECT_THAT(text_of(check(10)), HasSubstr("checkpoint-unproved | earlier/300.checkpoint"));
  write_file(out / "checkpoint", earlier);
  Verdict verdict;
  ASSERT_TRUE(check_into(verdict));
  EXPECT_THAT(text_of(verdict),
              HasSubstr("checkpoint-unsigned | checkpoint | it is not the one that the manifest names"));
}

// The manifest made anew and unsigned: entries must still lead to the signed root.
TEST_F(ExportTest, FindsEntriesThatAreNotInTheLog) {
  ASSERT_TRUE(make(300, 310, false));
  auto bundle = read_file(out / "tile/entries/001");
  const auto at = bundle.find("released", 300UL * 50);
  bundle.replace(at, 8, "RELEASED");
  write_file(out / "tile/entries/001", bundle);
  EXPECT_THAT(ids(check(10)), Contains("export-unproved"));
}

}  // namespace
}  // namespace avseal::audit::test
