// Makes a log of any size with the ledger's own writer and a key in memory, and opens it.
//
//   bench_ledger DIRECTORY ORIGIN STORE PUBLIC_KEY LEAVES
//
// DIRECTORY and STORE (a store's SQLite file) are made or go on; PUBLIC_KEY gets the key as PEM, to be certified for an
// entry in [[keys]] of an avseald that is to start with them. By hand only: ten million leaves take 4 GiB.
#include <cstdio>
#include <fstream>

#include <fmt/format.h>
#include <openssl/ec.h>
#include <openssl/pem.h>

#include "ledger/periods.hpp"
#include "store/store.hpp"

namespace {

using namespace avseal;
using Steady = std::chrono::steady_clock;

constexpr std::size_t leaf_text = 300;  // about what a signature's leaf has besides its index and time

// What is made here need not survive a power cut.
class UnsyncedFiles final : public ledger::FileOps {
 public:
  int fdatasync(int) override { return 0; }
  int sync_directory(const std::filesystem::path&) override { return 0; }
};

class SoftSigner final : public ledger::CheckpointSigner {
 public:
  Result<std::vector<ledger::CheckpointSignature>> sign(const ledger::CheckpointPermit&,
                                                        const std::string& text) override {
    const std::shared_ptr<EVP_MD_CTX> context(EVP_MD_CTX_new(), &EVP_MD_CTX_free);
    EVP_DigestSignInit(context.get(), nullptr, EVP_sha256(), nullptr, key_.get());
    std::size_t size = 0;
    const auto* data = reinterpret_cast<const unsigned char*>(text.data());
    EVP_DigestSign(context.get(), nullptr, &size, data, text.size());
    Bytes der(size);
    EVP_DigestSign(context.get(), der.data(), &size, data, text.size());
    der.resize(size);
    AVSEAL_TRY(auto raw, tokens::signature_from_der(der, 64));
    return std::vector<ledger::CheckpointSignature>{{tokens::PublicKey(key_), std::move(raw), {}}};
  }
  [[nodiscard]] tokens::PublicKey key() const { return tokens::PublicKey(key_); }
  void write_public(const char* file) const {
    std::FILE* out = std::fopen(file, "w");
    PEM_write_PUBKEY(out, key_.get());
    std::fclose(out);
  }

 private:
  std::shared_ptr<EVP_PKEY> key_{EVP_EC_gen("P-256"), &EVP_PKEY_free};
};

double seconds_since(Steady::time_point begun) {
  return std::chrono::duration<double>(Steady::now() - begun).count();
}

Result<void> make(ledger::Config config, std::uint64_t leaves, SoftSigner& signer) {
  config.files = std::make_shared<UnsyncedFiles>();
  std::filesystem::create_directories(config.directory);
  ledger::Periods periods(config, system_clock_now);
  AVSEAL_TRY(auto log, periods.open());
  const ledger::LeafDraft draft{R"({"client":"ims-as-1","event":"sign.avatar-id","index":)",
                                fmt::format(R"(,"request":"{}","time":)", std::string(leaf_text, 'x'))};
  const auto time = std::chrono::duration_cast<std::chrono::milliseconds>(system_clock_now().time_since_epoch());
  ledger::BatchBuilder builder;
  const auto begun = Steady::now();
  while (log.segments->next_index() < leaves) {
    builder.start(log.segments->next_index());
    while (log.segments->next_index() + builder.leaves() < leaves && builder.has_room(2 * leaf_text)) {
      builder.add(draft, time.count());
    }
    AVSEAL_CHECK(log.segments->append(builder.finish(), builder.leaves()));
    const bool last = log.segments->next_index() == leaves;
    while (log.segments->next_index() - log.checkpointer->size() > (last ? 0 : 65'536)) {
      AVSEAL_CHECK(log.checkpointer->publish(log.segments->next_index(), signer));
    }
  }
  log.segments->seal();
  fmt::print("{} leaves in {:.1f} s: {:.0f} a second, on one core, without syncs\n", leaves, seconds_since(begun),
             static_cast<double>(leaves) / seconds_since(begun));
  return {};
}

Result<void> run(char** arguments) {
  SoftSigner signer;
  prometheus::Registry metrics;
  AVSEAL_TRY(const auto store, store::StoreFile::open(arguments[3], system_clock_now, metrics));
  ledger::Config config;
  config.directory = arguments[1];
  config.origin = arguments[2];
  config.heads = &store->ledger_heads();
  config.keys = {signer.key()};
  AVSEAL_CHECK(make(config, std::stoull(arguments[5]), signer));
  signer.write_public(arguments[4]);

  const auto begun = Steady::now();
  AVSEAL_TRY(const auto log, ledger::Ledger::open(config, system_clock_now, metrics));
  fmt::print("opened in {:.3f} s\n", seconds_since(begun));
  log->close();
  store->close();
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 6) {
    fmt::print(stderr, "usage: {} DIRECTORY ORIGIN STORE PUBLIC_KEY LEAVES\n", argv[0]);
    return 2;
  }
  const auto done = run(argv);
  if (!done) fmt::print(stderr, "{}: {}\n", done.error().reason, done.error().detail);
  return done ? 0 : 1;
}
