#include "log_files.hpp"

#include <memory>

#include <openssl/ec.h>
#include <openssl/evp.h>

namespace avseal::audit::test {

namespace {

using tlog::tile_width;

Bytes signature_over(evp_pkey_st* key, std::string_view text) {
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
  const auto bytes = as_bytes(text);
  std::size_t size = 0;
  EVP_DigestSignInit(context.get(), nullptr, EVP_sha256(), nullptr, key);
  EVP_DigestSign(context.get(), nullptr, &size, bytes.data(), bytes.size());
  Bytes signature(size);
  EVP_DigestSign(context.get(), signature.data(), &size, bytes.data(), bytes.size());
  signature.resize(size);
  return signature;
}

}  // namespace

SoftwareKey::SoftwareKey() : key_(EVP_EC_gen("P-256"), EVP_PKEY_free), public_key_(key_) {}

tlog::VerifierKey SoftwareKey::verifier(const std::string& name) const {
  return tlog::VerifierKey::of(name, public_key_).value();
}

std::string SoftwareKey::sign(const tlog::Checkpoint& checkpoint) const {
  return sign_text(checkpoint.text(), checkpoint.origin);
}

std::string SoftwareKey::sign_text(const std::string& text, const std::string& name) const {
  const auto key = verifier(name);
  return tlog::Note{text, {{key.name(), key.key_id(), signature_over(key_.get(), text)}}}.to_string();
}

LogFiles::LogFiles(std::filesystem::path directory, std::string origin, const SoftwareKey& key)
    : directory_(std::move(directory)), origin_(std::move(origin)), key_(key) {
  std::filesystem::create_directories(directory_);
}

void LogFiles::add(ByteView leaf) {
  const auto hash = tlog::leaf_hash(leaf);
  frontier_.append(hash);
  tlog::append_entry(bundle_, leaf);
  const auto size = frontier_.size();
  if (size % tile_width == 0) {
    write({std::nullopt, size / tile_width - 1, tile_width}, bundle_);
    bundle_.clear();
  }
  push(0, hash);
}

void LogFiles::push(unsigned level, const tlog::Hash& hash) {
  if (levels_.size() <= level) levels_.emplace_back();
  auto& to = levels_[level];
  to.hashes.push_back(hash);
  if (to.hashes.size() < tile_width) return;
  write({level, to.tile++, tile_width}, tlog::tile_bytes(to.hashes));
  const auto root = tlog::root_of_leaves(to.hashes);
  to.hashes.clear();
  push(level + 1, root);
}

tlog::Checkpoint LogFiles::publish() {
  const auto size = frontier_.size();
  if (!bundle_.empty()) {
    write({std::nullopt, size / tile_width, static_cast<unsigned>(size % tile_width)}, bundle_);
  }
  for (unsigned level = 0; level < levels_.size(); ++level) {
    const auto& from = levels_[level];
    if (from.hashes.empty()) continue;
    write({level, from.tile, static_cast<unsigned>(from.hashes.size())}, tlog::tile_bytes(from.hashes));
  }
  write_file(directory_ / "checkpoint", note());
  return {origin_, size, frontier_.root()};
}

std::string LogFiles::note() const {
  return key_.sign({origin_, frontier_.size(), frontier_.root()});
}

void LogFiles::write(const tlog::TileName& name, ByteView bytes) const {
  const auto file = directory_ / tlog::path_of(name);
  std::filesystem::create_directories(file.parent_path());
  write_file(file, as_text(bytes));
}

}  // namespace avseal::audit::test
