#include "audit/export.hpp"

#include <array>
#include <cstdio>

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
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

using avseal::test::TempDir;

class ExportTest : public ::testing::Test {
 protected:
  static constexpr std::uint64_t size = 1000;

  void SetUp() override {
    Log leaves;
    leaves.begin();
    leaves.add("refusal", {{"text", "=1+1, \"quoted\"\n"}}, {}, "refused");
    for (std::uint64_t number = 1; leaves.leaves().size() < size; ++number) leaves.sign(number);
    LogFiles files(directory / "log", std::string(log_origin), key);
    for (const auto leaf : leaves.views()) {
      files.add(leaf);
      if (files.size() == 300) files.publish(), earlier = read_file(directory / "log" / "checkpoint");
    }
    head = files.publish();
  }

  // The manifest is signed as the node does it.
  Result<void> make(std::uint64_t from, std::uint64_t to, bool is_signed = true) {
    const auto source = tlog::open_directory(directory / "log");
    tlog::Policy policy;
    policy.logs.push_back({key.verifier(std::string(log_origin)), {}});
    fs::remove_all(out);
    AVSEAL_TRY(auto manifest, export_range(*source, policy, {from, to, held, out, is_signed}, {}));
    write_file(out / "manifest", is_signed ? key.sign_text(manifest, std::string(log_origin)) : manifest);
    return {};
  }

  Verdict check(std::uint64_t leaves) {
    Verdict verdict;
    const auto trust = Trust::of_keys({key.verifier(std::string(log_origin))});
    const auto checked = check_export(out, trust, verdict, {});
    EXPECT_TRUE(checked) << checked.error().detail;
    EXPECT_EQ(checked ? checked->read : 0, leaves);
    return verdict;
  }

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
    if (path == "manifest") {
      Verdict verdict;
      const auto trust = Trust::of_keys({key.verifier(std::string(log_origin))});
      const auto checked = check_export(out, trust, verdict, {});
      EXPECT_TRUE(!checked || !verdict.good());
    } else {
      Verdict verdict;
      const auto trust = Trust::of_keys({key.verifier(std::string(log_origin))});
      ASSERT_TRUE(check_export(out, trust, verdict, {}));
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
  const auto digest_of = [](std::string_view bytes) { return tokens::hex_encode(tokens::sha256(as_bytes(bytes))); };
  write_file(out / "entries.csv", file + "x");
  sums.replace(sums.find(digest_of(file)), 64, digest_of(file + "x"));
  write_file(out / "SHA256SUMS", sums);
  EXPECT_THAT(ids(check(10)), ElementsAre("export-differs"));
  EXPECT_THAT(text_of(check(10)), HasSubstr("export-differs | SHA256SUMS"));
}

TEST_F(ExportTest, FindsCheckpointsThatAreNotItsOwn) {
  held = {earlier};
  ASSERT_TRUE(make(200, 210));
  write_file(out / "earlier/300.checkpoint", key.sign({"demo.example/node-1/2020", 300, {}}));
  EXPECT_THAT(text_of(check(10)), HasSubstr("checkpoint-unsigned | earlier/300.checkpoint | it is of another log"));
  write_file(out / "checkpoint", earlier);
  Verdict verdict;
  ASSERT_TRUE(check_export(out, Trust::of_keys({key.verifier(std::string(log_origin))}), verdict, {}));
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
