// What publishing needs, in memory: heads, a signer; and a judge of what was published.
#pragma once

#include <map>
#include <set>

#include "ledger/checkpointer.hpp"
#include "support.hpp"
#include "tlog/checkpoint.hpp"
#include "tlog/note.hpp"
#include "tlog/source.hpp"

struct evp_pkey_st;

namespace avseal::ledger::test {

class MemoryHeads final : public HeadStore {
 public:
  Result<std::optional<Head>> head(const std::string& origin) override;
  Result<void> replace(const std::optional<Head>& expected, const Head& next) override;

  std::mutex mutex;
  std::map<std::string, Head> rows;
  std::optional<Error> failure;    // of replace(), before it does anything
  bool fails_when_done = false;    // replace() says "store-unavailable" of what it did, once
  std::vector<std::string> notes;  // all that were ever given to replace()
};

// Signs with a key in memory.
class SoftSigner final : public CheckpointSigner {
 public:
  SoftSigner();
  Result<std::vector<CheckpointSignature>> sign(const CheckpointPermit& permit, const std::string& text) override;
  [[nodiscard]] tokens::PublicKey key() const;

  std::mutex mutex;
  std::optional<Error> failure;
  std::vector<std::string> texts;  // all that were signed
  SoftSigner* cosigner = nullptr;  // signs after this one

 private:
  std::shared_ptr<evp_pkey_st> key_;
  std::uint64_t sequence_ = 0;
};

// A ledger that publishes.
struct PublishingFixture : Fixture {
  SoftSigner signer;
  MemoryHeads heads;

  [[nodiscard]] Config config();
  std::shared_ptr<Ledger> open();              // with the signer in use
  Result<std::shared_ptr<Ledger>> try_open();  // without
  static Result<Published> covered(Ledger& ledger, std::uint64_t index);
  [[nodiscard]] Error refusal();  // of try_open(); closes a ledger that opens nevertheless
  [[nodiscard]] std::filesystem::path log() const { return directory.path() / "log"; }
};

// Checks a directory against its own checkpoint: signature, root over all leaves, each tile and bundle, and that there
// are no other files of the tree. Gives the leaves.
std::vector<std::string> judge(const std::filesystem::path& directory, const tokens::PublicKey& key);

// That the checkpoints among these notes or texts are of one history of the leaves: pairwise consistent, and consistent
// with the leaves as far as these go.
void expect_one_history(const std::vector<std::string>& texts, const std::vector<std::string>& leaves);

}  // namespace avseal::ledger::test
