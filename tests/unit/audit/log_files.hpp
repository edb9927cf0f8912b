// A log's files as a node publishes them, signed with a key in software.
#pragma once

#include <filesystem>
#include <fstream>

#include "audit/trust.hpp"
#include "tlog/checkpoint.hpp"
#include "tlog/tile.hpp"

namespace avseal::audit::test {

class SoftwareKey {
 public:
  SoftwareKey();  // P-256, fresh
  [[nodiscard]] const tokens::PublicKey& public_key() const { return public_key_; }
  [[nodiscard]] tlog::VerifierKey verifier(const std::string& name) const;
  [[nodiscard]] std::string sign(const tlog::Checkpoint& checkpoint) const;  // the note
  [[nodiscard]] std::string sign_text(const std::string& text, const std::string& name) const;

 private:
  std::shared_ptr<evp_pkey_st> key_;
  tokens::PublicKey public_key_;
};

class LogFiles {
 public:
  LogFiles(std::filesystem::path directory, std::string origin, const SoftwareKey& key);

  void add(ByteView leaf);
  // Writes all that a log of this size has, and its checkpoint.
  tlog::Checkpoint publish();

  [[nodiscard]] std::uint64_t size() const { return frontier_.size(); }
  [[nodiscard]] std::string note() const;  // of what publish() would sign

 private:
  void push(unsigned level, const tlog::Hash& hash);
  void write(const tlog::TileName& name, ByteView bytes) const;

  std::filesystem::path directory_;
  std::string origin_;
  const SoftwareKey& key_;
  tlog::Frontier frontier_;
  Bytes bundle_;
  struct Level {
    std::uint64_t tile = 0;
    std::vector<tlog::Hash> hashes;
  };
  std::vector<Level> levels_;
};

inline std::string read_file(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

inline void write_file(const std::filesystem::path& file, std::string_view bytes) {
  std::ofstream(file, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

}  // namespace avseal::audit::test
