#include "fault_fixture.hpp"

#include <cstdlib>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/faults/module/facts.hpp"

namespace avseal::tokend {

void FaultTest::SetUp() {
  WorkerTest::SetUp();
  directory_ = softhsm.directory.path() / "faults";
  std::filesystem::create_directory(directory_);
  std::ofstream(directory_ / "module") << pkcs11::softhsm << "\n";
  setenv("AVSEAL_FAULTS", directory_.c_str(), 1);
  worker_module = std::string(AVSEAL_BINARY_DIR) + "/lib/avseal-fault-pkcs11.so";
}

void FaultTest::rule(const std::string& text) {
  rules_.push_back("r" + std::to_string(++named_) + " " + text);
  write_rules();
}

void FaultTest::clear() {
  rules_.clear();
  write_rules();
}

void FaultTest::write_rules() const {
  const auto fresh = directory_ / "rules.new";
  {
    std::ofstream out(fresh);
    for (const std::string& line : rules_) out << line << "\n";
  }
  std::filesystem::rename(fresh, directory_ / "rules");
}

template <class Count>
std::uint64_t FaultTest::sum(Count count) const {
  std::uint64_t total = 0;
  for (const auto& entry : std::filesystem::directory_iterator(directory_)) {
    if (entry.path().extension() != ".facts") continue;
    const int fd = ::open(entry.path().c_str(), O_RDONLY | O_CLOEXEC);
    void* mapped = ::mmap(nullptr, sizeof(faults::Facts), PROT_READ, MAP_SHARED, fd, 0);
    ::close(fd);
    total += count(*static_cast<const faults::Facts*>(mapped));
    ::munmap(mapped, sizeof(faults::Facts));
  }
  return total;
}

std::uint64_t FaultTest::calls(faults::Function function) const {
  return sum([function](const faults::Facts& facts) {
    return facts.functions[static_cast<std::size_t>(function)].calls.load();
  });
}

std::uint64_t FaultTest::returned(faults::Function function, CK_RV code) const {
  return sum([function, code](const faults::Facts& facts) {
    std::uint64_t count = 0;
    for (const faults::CodeFacts& one : facts.functions[static_cast<std::size_t>(function)].codes) {
      if (one.code_plus_one.load() == code + 1) count += one.count.load();
    }
    return count;
  });
}

std::uint64_t FaultTest::overlaps() const {
  return sum([](const faults::Facts& facts) { return facts.overlaps.load(); });
}

std::uint64_t FaultTest::failed_logins() const {
  return calls(faults::Function::C_Login) - returned(faults::Function::C_Login, CKR_OK) -
         returned(faults::Function::C_Login, CKR_USER_ALREADY_LOGGED_IN);
}

std::filesystem::path FaultTest::config_with(const std::string& lines, const std::string& quirks) {
  std::string head = "pin_file = \"pin\"\n" + lines;
  if (!quirks.empty()) {
    softhsm.directory.write("quirky.toml",
                            "name = \"quirky\"\ntitle = \"For tests\"\nstatus = \"verified\"\nsources = [\"this\"]\n"
                            "[quirks]\n" +
                                quirks);
    head += "profile = \"quirky\"\nprofile_directory = \".\"\n";
  }
  return write_config(head);
}

Result<Bytes> FaultTest::sign(Client& client) {
  return client.ask(FrameType::sign, "ledger", as_bytes(checkpoint));
}

Result<Bytes> FaultTest::signed_and_verified(Client& client) const {
  AVSEAL_TRY(Bytes signature, sign(client));
  AVSEAL_CHECK(public_keys.at("ledger").verify(as_bytes(checkpoint), signature));
  return signature;
}

int FaultTest::sign_many(Client& client, int count) const {
  Bytes frames;
  for (int id = 0; id < count; ++id) {
    EXPECT_TRUE(
        append_request(frames, FrameType::sign, static_cast<std::uint64_t>(id), "ledger", as_bytes(checkpoint)));
  }
  EXPECT_TRUE(client.send(frames));
  int good = 0;
  for (int i = 0; i < count; ++i) {
    const auto reply = client.reply();
    if (!reply) return good;
    if (reply->value && public_keys.at("ledger").verify(as_bytes(checkpoint), *reply->value)) ++good;
  }
  return good;
}

}  // namespace avseal::tokend
