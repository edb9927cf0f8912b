#include "publishing_support.hpp"

#include <openssl/ec.h>
#include <openssl/evp.h>

#include "ledger/errors.hpp"
#include "tlog/source.hpp"
#include "tokens/base64.hpp"

namespace avseal::ledger::test {

namespace {

Error unavailable() {
  return avseal::errors::make(Category::unavailable, "store-unavailable", "as the test says");
}

// What a log of `size` leaves must have below tile/, without partial tiles of earlier sizes.
std::set<std::string> expected_files(std::uint64_t size) {
  std::set<std::string> files;
  const auto add = [&](std::optional<unsigned> level) {
    const auto full = tlog::full_tiles(level.value_or(0), size);
    for (std::uint64_t i = 0; i < full; ++i) files.insert(tlog::path_of({level, i}));
    const auto width = tlog::partial_width(level.value_or(0), size);
    if (width != 0) files.insert(tlog::path_of({level, full, width}));
  };
  add(std::nullopt);
  for (unsigned level = 0; size >> (8 * level) != 0; ++level) add(level);
  return files;
}

// Below tile/, without the narrower forms of what is expected: those of published sizes may stay, and a crash may bring
// them back.
std::set<std::string> found_files(const std::filesystem::path& directory, const std::set<std::string>& expected) {
  std::set<std::string> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory / "tile")) {
    if (!entry.is_regular_file()) continue;
    const auto path = entry.path().lexically_relative(directory).string();
    const auto name = tlog::parse_tile_path(path);
    EXPECT_TRUE(name) << path;
    if (!name) continue;
    const auto wider = [&](const std::string& other) {
      const auto parsed = tlog::parse_tile_path(other).value();
      return parsed.level == name->level && parsed.index == name->index && parsed.width > name->width;
    };
    if (std::none_of(expected.begin(), expected.end(), wider)) files.insert(path);
  }
  return files;
}

tlog::Checkpoint checkpoint_of(const std::string& text) {
  const auto note = tlog::Note::parse(text);
  return tlog::Checkpoint::parse(note ? note->text : text).value();
}

}  // namespace

Result<std::optional<Head>> MemoryHeads::head(const std::string& origin) {
  const std::lock_guard lock(mutex);
  if (failure) return *failure;
  const auto row = rows.find(origin);
  return row == rows.end() ? std::optional<Head>() : std::optional(row->second);
}

Result<void> MemoryHeads::replace(const std::optional<Head>& expected, const Head& next) {
  const std::lock_guard lock(mutex);
  notes.push_back(next.note);
  if (failure) return *failure;
  const auto row = rows.find(next.origin);
  const auto found = row == rows.end() ? std::optional<Head>() : std::optional(row->second);
  if (found != expected) return errors::head("another head is remembered");
  rows[next.origin] = next;
  if (std::exchange(fails_when_done, false)) return unavailable();
  return {};
}

SoftSigner::SoftSigner() : key_(EVP_EC_gen("P-256"), &EVP_PKEY_free) {}

tokens::PublicKey SoftSigner::key() const {
  return tokens::PublicKey(key_);
}

Result<std::vector<CheckpointSignature>> SoftSigner::sign(const CheckpointPermit& permit, const std::string& text) {
  const std::lock_guard lock(mutex);
  if (failure) return *failure;
  texts.push_back(text);
  const std::shared_ptr<EVP_MD_CTX> context(EVP_MD_CTX_new(), &EVP_MD_CTX_free);
  EVP_DigestSignInit(context.get(), nullptr, EVP_sha256(), nullptr, key_.get());
  std::size_t size = 0;
  const auto* data = reinterpret_cast<const unsigned char*>(text.data());
  EVP_DigestSign(context.get(), nullptr, &size, data, text.size());
  Bytes der(size);
  EVP_DigestSign(context.get(), der.data(), &size, data, text.size());
  der.resize(size);
  KeyUse use{
      "ledger", key().thumbprint(), "worker-1", ++sequence_, tokens::base64url_encode(tokens::sha256(as_bytes(text))),
      "signed"};
  std::vector<CheckpointSignature> signatures{
      CheckpointSignature{key(), tokens::signature_from_der(der, 64).value(), {std::move(use)}}};
  if (cosigner != nullptr) {
    for (auto& more : cosigner->sign(permit, text).value()) signatures.push_back(std::move(more));
  }
  return signatures;
}

Config PublishingFixture::config() {
  auto config = Fixture::config();
  config.heads = &heads;
  config.keys = {signer.key()};
  config.checkpoint_interval = std::chrono::milliseconds(1);
  return config;
}

Result<std::shared_ptr<Ledger>> PublishingFixture::try_open() {
  return Fixture::try_open(config());
}

std::shared_ptr<Ledger> PublishingFixture::open() {
  auto ledger = try_open().value();
  ledger->use_signer(&signer);
  return ledger;
}

Result<Published> PublishingFixture::covered(Ledger& ledger, std::uint64_t index) {
  return run(ledger.covered(index, std::chrono::steady_clock::now() + std::chrono::seconds(20)));
}

Error PublishingFixture::refusal() {
  auto ledger = try_open();
  if (!ledger) return ledger.error();
  ADD_FAILURE() << "it opened";
  (*ledger)->close();
  return {};
}

std::vector<std::string> judge(const std::filesystem::path& directory, const tokens::PublicKey& key) {
  const auto note = tlog::Note::parse(read_file(directory / "checkpoint")).value();
  const auto checkpoint = tlog::Checkpoint::parse(note.text).value();
  const auto verifier = tlog::VerifierKey::of(checkpoint.origin, key).value();
  EXPECT_TRUE(tlog::signers(note, {&verifier, 1}));
  const auto expected = expected_files(checkpoint.size);
  EXPECT_EQ(found_files(directory, expected), expected);

  std::vector<std::string> leaves;
  std::vector<tlog::Hash> hashes;
  const auto source = tlog::open_directory(directory);
  for (std::uint64_t first = 0; first < checkpoint.size; first += tlog::tile_width) {
    const auto name = tlog::tile_at(std::nullopt, first, checkpoint.size);
    const auto bundle = source->read(tlog::path_of(name)).value();
    for (const auto entry : tlog::read_bundle(bundle, name.width).value()) {
      leaves.emplace_back(as_text(entry));
      hashes.push_back(tlog::leaf_hash(entry));
    }
  }
  EXPECT_EQ(tlog::root_of_leaves(hashes), checkpoint.root);
  for (unsigned level = 0; !hashes.empty(); ++level) {
    std::vector<tlog::Hash> above;
    for (std::uint64_t first = 0; first < hashes.size(); first += tlog::tile_width) {
      const auto name = tlog::tile_at(level, first, checkpoint.size);
      const auto tile = std::span(hashes).subspan(first, name.width);
      EXPECT_EQ(source->read(tlog::path_of(name)).value(), tlog::tile_bytes(tile)) << tlog::path_of(name);
      if (name.width == tlog::tile_width) above.push_back(tlog::root_of_leaves(tile));
    }
    hashes = std::move(above);
  }
  return leaves;
}

void expect_one_history(const std::vector<std::string>& texts, const std::vector<std::string>& leaves) {
  std::map<std::uint64_t, tlog::Hash> roots;
  for (const auto& text : texts) {
    const auto checkpoint = checkpoint_of(text);
    const auto [known, fresh] = roots.emplace(checkpoint.size, checkpoint.root);
    EXPECT_EQ(known->second, checkpoint.root) << "two roots of " << checkpoint.size << " leaves";
  }
  tlog::Frontier tree;
  for (const auto& leaf : leaves) {
    tree.append(tlog::leaf_hash(as_bytes(leaf)));
    const auto root = roots.find(tree.size());
    if (root != roots.end()) {
      EXPECT_EQ(root->second, tree.root()) << "of " << tree.size() << " leaves";
    }
  }
}

}  // namespace avseal::ledger::test
