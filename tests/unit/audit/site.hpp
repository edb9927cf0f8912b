// A log on disk, and what judges it.
#pragma once

#include "../support/temp_dir.hpp"
#include "audit/verify.hpp"
#include "log_files.hpp"
#include "support.hpp"

namespace avseal::audit::test {

using avseal::test::TempDir;

// Good leaves of which each costs little to make.
inline Log leaves_of(std::uint64_t size) {
  Log log;
  if (size >= 2) log.begin();
  if (size == 1) log.start();
  std::uint64_t number = 0;
  while (log.leaves().size() < size) {
    log.add_text(fmt::format(R"({{"event":"sign.avatar-id","index":{},"keys":[{}],"outcome":"released","time":{}}})",
                             log.leaves().size(), tokens::canonical_json(use("avatar-id", ++number)), log.time));
    log.wait(90);
  }
  return log;
}

struct Site {
  TempDir directory;
  SoftwareKey key;
  std::filesystem::path log = directory.path() / "log";
  std::vector<tlog::VerifierKey> trusted{key.verifier(std::string(log_origin))};
  VerifyOptions options;
  Verified verified;

  // Publishes the leaves, also with checkpoints at sizes on the way, whose notes are given.
  std::vector<std::string> write(const Log& of, std::vector<std::uint64_t> sizes = {}) {
    return write_to(log, std::string(log_origin), of, std::move(sizes));
  }
  std::vector<std::string> write_to(const std::filesystem::path& to, const std::string& origin, const Log& of,
                                    std::vector<std::uint64_t> sizes = {}) const {
    LogFiles files(to, origin, key);
    std::vector<std::string> notes;
    const auto note_here = [&] {
      if (std::find(sizes.begin(), sizes.end(), files.size()) == sizes.end()) return;
      files.publish();
      notes.push_back(read_file(to / "checkpoint"));
    };
    note_here();
    for (const auto leaf : of.views()) {
      files.add(leaf);
      note_here();
    }
    files.publish();
    return notes;
  }

  Verdict verify() {
    Verdict verdict;
    const auto source = tlog::open_directory(log);
    auto result = audit::verify(*source, Trust::of_keys(trusted), options, verdict);
    EXPECT_TRUE(result) << result.error().detail;
    if (result) verified = *result;
    return verdict;
  }

  void flip(const std::string& path, std::size_t at) const {
    auto bytes = read_file(log / path);
    bytes.at(at) = static_cast<char>(bytes.at(at) ^ 1);
    write_file(log / path, bytes);
  }
  void cut(const std::string& path) const {
    std::filesystem::resize_file(log / path, std::filesystem::file_size(log / path) - 1);
  }
};

}  // namespace avseal::audit::test
