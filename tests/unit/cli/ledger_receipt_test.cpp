#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../support/temp_dir.hpp"
#include "../tlog/keys.hpp"
#include "cli/ledger_commands.hpp"
#include "tlog/proof.hpp"

namespace avseal::cli {
namespace {

using ::testing::HasSubstr;

// A receipt that somebody has, without a node.
class LedgerReceipt : public ::testing::Test {
 protected:
  static tlog::Proof receipt_of(std::string_view leaf, const tlog::Signer& key) {
    const auto neighbour = tlog::leaf_hash(as_bytes(std::string_view("the other leaf")));
    const auto hash = tlog::leaf_hash(as_bytes(leaf));
    const tlog::Checkpoint head{key.key().name(), 2, tlog::node_hash(neighbour, hash)};
    tlog::Proof proof;
    proof.extra = Bytes(leaf.begin(), leaf.end());
    proof.index = 1;
    proof.hashes = {neighbour};
    proof.checkpoint = {head.text(), {key.sign(head.text())}};
    return proof;
  }

  // Gives the exit code; what was printed is in `out` and `err`.
  int run(std::vector<std::string> arguments) {
    CLI::App app;
    int exit_code = -1;
    add_ledger_receipt(app, exit_code);
    arguments.insert(arguments.begin(), "receipt");
    std::reverse(arguments.begin(), arguments.end());
    testing::internal::CaptureStdout();
    testing::internal::CaptureStderr();
    try {
      app.parse(arguments);
    } catch (const CLI::ParseError& error) {
      exit_code = app.exit(error);
    }
    out = testing::internal::GetCapturedStdout();
    err = testing::internal::GetCapturedStderr();
    return exit_code;
  }

  std::string write(const tlog::Proof& proof) { return directory.write("receipt", proof.to_string()).string(); }

  avseal::test::TempDir directory;
  tlog::Signer log{"demo.example/node-1/2026", "P-256"};
  tlog::Proof receipt = receipt_of("{\"event\":\"sign.avatar-id\"}", log);
  std::string out;
  std::string err;
};

TEST_F(LedgerReceipt, IsCheckedOffline) {
  const auto file = write(receipt);
  EXPECT_EQ(run({"--file", file, "--vkey", log.key().text()}), 0) << err;
  EXPECT_EQ(out, "leaf 1 of demo.example/node-1/2026 is in its log of 2 leaves: {\"event\":\"sign.avatar-id\"}\n");
  EXPECT_EQ(run({"--file", file, "--vkey", log.key().text(), "--index", "1"}), 0) << err;
  EXPECT_NE(run({"--file", file, "--vkey", log.key().text(), "--index", "2"}), 0);
  EXPECT_THAT(err, HasSubstr("expected the receipt of leaf 2, found that of leaf 1"));
  EXPECT_EQ(out, "");
}

TEST_F(LedgerReceipt, HasToLeadToWhatABelievedLogSigned) {
  const auto fails = [&](const tlog::Proof& proof, std::string_view reason) {
    EXPECT_NE(run({"--file", write(proof), "--vkey", log.key().text()}), 0);
    EXPECT_THAT(err, HasSubstr(reason));
    EXPECT_EQ(out, "");
  };
  auto altered = receipt;
  altered.extra->back() ^= 1;
  fails(altered, "the hashes lead to another root");
  altered = receipt;
  altered.index = 0;
  fails(altered, "the hashes lead to another root");
  altered = receipt;
  altered.extra.reset();
  fails(altered, "the receipt does not bring its leaf along");
  fails(receipt_of("{}", tlog::Signer("demo.example/node-1/2026", "P-256")), "expected a signature of");
}

TEST_F(LedgerReceipt, MayHaveToMeetAPolicy) {
  const tlog::Cosigner witness("witness.example");
  const auto policy =
      directory.write("policy", "log " + log.key().text() + "\nwitness w " + witness.key().text() + "\nquorum w\n");
  EXPECT_NE(run({"--file", write(receipt), "--policy", policy.string()}), 0);
  EXPECT_THAT(err, HasSubstr("0 of 1 witnesses cosigned"));
  receipt.checkpoint.signatures.push_back(witness.cosign(receipt.checkpoint.text, 1'763'930'040));
  EXPECT_EQ(run({"--file", write(receipt), "--policy", policy.string()}), 0) << err;
}

TEST_F(LedgerReceipt, IsFetchedOrChecked) {
  const auto file = write(receipt);
  EXPECT_NE(run({"--file", file}), 0);
  EXPECT_THAT(err, HasSubstr("expected --vkey or --policy"));
  EXPECT_NE(run({"--index", "1"}), 0);
  EXPECT_THAT(err, HasSubstr("expected --url and --index, to fetch a receipt, or --file, to check one"));
  for (const auto& [option, value] :
       {std::pair{"--url", "https://x"}, std::pair{"--log", "2026"}, std::pair{"--out", "x"}}) {
    EXPECT_NE(run({"--file", file, "--vkey", log.key().text(), option, value}), 0);
    EXPECT_THAT(err, HasSubstr("excludes")) << option;
  }
}

}  // namespace
}  // namespace avseal::cli
