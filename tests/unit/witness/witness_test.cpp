#include "witness/witness.hpp"

#include <fstream>
#include <sys/stat.h>

#include <gtest/gtest.h>

#include "tests/unit/tlog/keys.hpp"
#include "tlog/merkle.hpp"
#include "tokens/base64.hpp"
#include "tokens/digest.hpp"

namespace avseal::witness {
namespace {

namespace fs = std::filesystem;

class WitnessTest : public ::testing::Test {
 protected:
  WitnessTest() {
    std::string pattern = "/tmp/avw-XXXXXX";
    directory_ = ::mkdtemp(pattern.data());
    SigningKey::make(directory_ / "witness.key", "witness.example").value();
    for (int i = 0; i < 20; ++i) leaves_.push_back(tlog::leaf_hash(as_bytes(std::to_string(i))));
    witness_ = open();
  }
  ~WitnessTest() override {
    witness_.reset();
    fs::remove_all(directory_);
  }

  std::unique_ptr<Witness> open() {
    auto opened = try_open();
    return opened ? std::move(*opened) : nullptr;
  }
  Result<std::unique_ptr<Witness>> try_open() {
    return Witness::open({directory_, {log_.key()}},
                         SigningKey::load(directory_ / "witness.key", "witness.example").value(),
                         [] { return std::chrono::system_clock::from_time_t(1'700'000'000); });
  }

  tlog::Checkpoint head(std::size_t size) const {
    return {"log.example/1", size, tlog::root_of_leaves(std::span(leaves_).first(size))};
  }
  tlog::AddCheckpoint request(std::size_t old_size, std::size_t size) const {
    return request(old_size, head(size), log_);
  }
  tlog::AddCheckpoint request(std::size_t old_size, const tlog::Checkpoint& to, const tlog::Signer& by) const {
    tlog::AddCheckpoint made{old_size, {}, {to.text(), {by.sign(to.text())}}};
    if (old_size == 0 || old_size >= to.size) return made;
    made.proof =
        tlog::consistency_proof(old_size, to.size, [this](unsigned level, std::uint64_t index) -> Result<tlog::Hash> {
          return tlog::root_of_leaves(std::span(leaves_).subspan(index << level, std::size_t{1} << level));
        }).value();
    return made;
  }
  std::string reason(const tlog::AddCheckpoint& asked) {
    const auto answer = witness_->add(asked);
    return answer ? "" : std::string(answer.error().reason);
  }
  void expect_cosigned(const tlog::AddCheckpoint& asked) {
    const auto answer = witness_->add(asked);
    ASSERT_TRUE(answer) << answer.error().detail;
    ASSERT_FALSE(answer->stale) << answer->stale->size;
    const auto line = tlog::parse_cosignatures(answer->line).value();
    ASSERT_EQ(line.size(), 1U);
    EXPECT_EQ(witness_->key().verify(asked.note.text, line[0].bytes).value(), 1'700'000'000);
  }

  fs::path directory_;
  tlog::Signer log_{"log.example/1", "P-256"};
  std::vector<tlog::Hash> leaves_;
  std::unique_ptr<Witness> witness_;
};

TEST_F(WitnessTest, CosignsWhatGoesOn) {
  expect_cosigned(request(0, 0));
  expect_cosigned(request(0, 5));
  expect_cosigned(request(5, 5));
  expect_cosigned(request(5, 17));
  const auto note =
      tlog::Note::parse(witness_->newest(tokens::hex_encode(tokens::sha256(as_bytes("log.example/1")))).value());
  ASSERT_TRUE(note);
  EXPECT_EQ(note->text, head(17).text());
  EXPECT_TRUE(tlog::signers(*note, std::vector{log_.key()}));
  EXPECT_TRUE(tlog::signers(*note, std::vector{witness_->key()}));
  EXPECT_EQ(witness_->newest(std::string(64, '0')).error().category, Category::not_found);
}

TEST_F(WitnessTest, KeepsNoSignaturesOfStrangers) {
  auto asked = request(0, 5);
  asked.note.signatures.push_back(tlog::Cosigner("other.example").cosign(asked.note.text, 1));
  expect_cosigned(asked);
  const auto note =
      tlog::Note::parse(witness_->newest(tokens::hex_encode(tokens::sha256(as_bytes("log.example/1")))).value())
          .value();
  ASSERT_EQ(note.signatures.size(), 2U);
  EXPECT_TRUE(log_.key().made(note.signatures[0]));
  EXPECT_TRUE(witness_->key().made(note.signatures[1]));
}

TEST_F(WitnessTest, TellsItsSizeToAStaleLog) {
  expect_cosigned(request(0, 5));
  for (const auto& stale : {request(0, 17), request(4, 17), request(6, 17), request(0, 0)}) {
    const auto answer = witness_->add(stale);
    ASSERT_TRUE(answer);
    ASSERT_TRUE(answer->stale);
    EXPECT_EQ(answer->stale->size, 5U);
    EXPECT_TRUE(answer->line.empty());
  }
}

TEST_F(WitnessTest, NeverCosignsAnotherHistory) {
  expect_cosigned(request(0, 5));
  auto fork = head(5);
  fork.root[0] ^= 1U;
  EXPECT_EQ(reason(request(5, fork, log_)), "witness-inconsistent");
  auto other = request(5, 9);
  other.proof[0][0] ^= 1U;
  EXPECT_EQ(reason(other), "witness-inconsistent");
  other.proof.clear();
  EXPECT_EQ(reason(other), "witness-inconsistent");
  auto grown = head(9);
  grown.root[0] ^= 1U;
  EXPECT_EQ(reason(request(5, grown, log_)), "witness-inconsistent");
  expect_cosigned(request(5, 9));
}

TEST_F(WitnessTest, RefusesAnEmptyTreeWithAnotherRootAndAProofFromNothing) {
  auto empty = head(0);
  empty.root[3] ^= 1U;
  EXPECT_EQ(reason(request(0, empty, log_)), "witness-inconsistent");
  auto proven = request(0, 5);
  proven.proof.push_back(leaves_[0]);
  EXPECT_EQ(reason(proven), "witness-inconsistent");
}

TEST_F(WitnessTest, RefusesStrangersAndMalformedRequests) {
  const tlog::Signer stranger("log.example/1", "P-256");
  EXPECT_EQ(reason(request(0, head(5), stranger)), "note-signature-missing");
  auto forged = request(0, 5);
  forged.note.signatures[0].bytes[9] ^= 1U;
  EXPECT_EQ(reason(forged), "note-signature-wrong");
  auto other_log = head(5);
  other_log.origin = "log.example/2";
  EXPECT_EQ(reason(request(0, other_log, log_)), "witness-log-unknown");
  EXPECT_EQ(reason(request(6, 5)), "witness-old-size");
  auto text = request(0, 5);
  text.note.text = "log.example/1\nfive\n";
  EXPECT_EQ(reason(text), "checkpoint-malformed");
  EXPECT_FALSE(fs::exists(directory_ / tokens::hex_encode(tokens::sha256(as_bytes("log.example/1")))));
}

TEST_F(WitnessTest, RemembersAfterARestart) {
  expect_cosigned(request(0, 5));
  witness_.reset();
  witness_ = open();
  EXPECT_EQ(witness_->add(request(0, 9)).value().stale->size, 5U);
  auto fork = head(5);
  fork.root[0] ^= 1U;
  EXPECT_EQ(reason(request(5, fork, log_)), "witness-inconsistent");
  expect_cosigned(request(5, 9));
}

TEST_F(WitnessTest, ItsOwnRecordIsNotTakenOnTrust) {
  expect_cosigned(request(0, 5));
  witness_.reset();
  const auto file = directory_ / tokens::hex_encode(tokens::sha256(as_bytes("log.example/1")));
  std::ofstream(file) << request(0, 3).note.to_string();  // of the log, but never cosigned
  EXPECT_EQ(try_open().error().reason, "witness-state");
  std::ofstream(file) << "damaged";
  EXPECT_EQ(try_open().error().reason, "witness-state");
  const auto own = SigningKey::load(directory_ / "witness.key", "witness.example").value();
  auto of_another_log = head(5);
  of_another_log.origin = "log.example/2";
  std::ofstream(file) << tlog::Note{of_another_log.text(), {own.cosign(of_another_log.text(), 1).value()}}.to_string();
  EXPECT_EQ(try_open().error().reason, "witness-state");
}

// Policies have a key once, and each year of a log has an origin of its own.
TEST_F(WitnessTest, TheKeyOfOneYearIsGoodForTheNext) {
  const tlog::Signer log("log.example/1/2026", "P-256");
  const auto open_for = [&] {
    witness_.reset();
    witness_ = Witness::open({directory_, {log.key()}},
                             SigningKey::load(directory_ / "witness.key", "witness.example").value(), system_clock_now)
                   .value();
  };
  const auto ask = [&](const std::string& origin, std::size_t size, std::size_t old_size = 0) {
    auto to = head(size);
    to.origin = origin;
    auto asked = request(old_size, to, log);
    asked.note.signatures[0].name = origin;
    return witness_->add(asked);
  };
  open_for();
  EXPECT_TRUE(ask("log.example/1/2026", 9));
  EXPECT_TRUE(ask("log.example/1/2027", 5));
  for (const char* other : {"log.example/2/2026", "log.example/1", "log.example/1/20277", "log.example/1/next"}) {
    EXPECT_EQ(ask(other, 5).error().reason, "witness-log-unknown") << other;
  }
  open_for();
  EXPECT_EQ(ask("log.example/1/2026", 17).value().stale->size, 9U) << "remembered";
  EXPECT_EQ(ask("log.example/1/2027", 17).value().stale->size, 5U) << "remembered, though only the other is configured";
  EXPECT_FALSE(ask("log.example/1/2027", 17, 5).value().line.empty());
}

TEST_F(WitnessTest, IsOneToADirectory) {
  EXPECT_EQ(try_open().error().reason, "witness-locked");
}

TEST_F(WitnessTest, WhatItCannotKeepItDoesNotSign) {
  ASSERT_TRUE(fs::create_directory(directory_ / "new-checkpoint"));
  EXPECT_EQ(reason(request(0, 5)), "witness-state");
  fs::remove(directory_ / "new-checkpoint");
  EXPECT_EQ(reason(request(0, 5)), "witness-state");  // what is on disk is not known any more
  witness_.reset();
  witness_ = open();
  expect_cosigned(request(0, 5));
}

TEST_F(WitnessTest, AKeyIsPrivateAndNeverReplaced) {
  const auto file = directory_ / "witness.key";
  struct stat info {};
  ASSERT_EQ(::stat(file.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777U, 0600U);
  EXPECT_EQ(SigningKey::make(file, "again").error().reason, "witness-key-exists");
  fs::permissions(file, fs::perms::group_read, fs::perm_options::add);
  EXPECT_EQ(SigningKey::load(file, "witness.example").error().reason, "witness-key");
  EXPECT_EQ(SigningKey::load(directory_ / "none", "witness.example").error().reason, "witness-key");
}

}  // namespace
}  // namespace avseal::witness
