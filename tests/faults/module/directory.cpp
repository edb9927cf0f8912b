#include "tests/faults/module/directory.hpp"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <iterator>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace avseal::faults {

namespace {

constexpr const char* softhsm = "/usr/lib/softhsm/libsofthsm2.so";

Error unusable(const std::filesystem::path& path, std::string_view why) {
  return errors::make(Category::invalid, "faults-unusable", path.string() + ": " + std::string(why));
}

// A number from 0 to 1 that seed and position decide (splitmix64).
double draw(std::uint64_t seed, std::uint64_t position) {
  std::uint64_t z = seed + (position + 1) * 0x9e3779b97f4a7c15ULL;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
  z ^= z >> 31;
  return static_cast<double>(z >> 11) / static_cast<double>(1ULL << 53);
}

Result<Facts*> map_facts(const std::filesystem::path& file) {
  const int descriptor = ::open(file.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (descriptor < 0) return unusable(file, std::strerror(errno));
  void* memory = MAP_FAILED;
  if (::ftruncate(descriptor, sizeof(Facts)) == 0) {
    memory = ::mmap(nullptr, sizeof(Facts), PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
  }
  const int why = errno;
  ::close(descriptor);
  if (memory == MAP_FAILED) return unusable(file, std::strerror(why));
  auto* const facts = static_cast<Facts*>(memory);  // a new file is zeros
  facts->magic = facts_magic;
  return facts;
}

std::string read_file(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

}  // namespace

Result<std::unique_ptr<Directory>> Directory::open(const std::filesystem::path& path) {
  std::error_code failed;
  std::filesystem::create_directory(path / "spent", failed);
  if (failed) return unusable(path / "spent", failed.message());
  AVSEAL_TRY(Facts* const facts, map_facts(path / (std::to_string(::getpid()) + ".facts")));
  return std::unique_ptr<Directory>(new Directory(path, facts));
}

Result<std::filesystem::path> Directory::real_module() const {
  if (!std::filesystem::exists(path_ / "module")) return std::filesystem::path(softhsm);
  std::string text = read_file(path_ / "module");
  if (text.ends_with('\n')) text.pop_back();
  if (text.empty() || text.front() != '/') return unusable(path_ / "module", "expected one absolute path");
  return std::filesystem::path(text);
}

std::shared_ptr<const Rules> Directory::rules() {
  const std::lock_guard lock(mutex_);
  struct stat found {};
  std::array<std::uint64_t, 3> stamp{};
  if (::stat((path_ / "rules").c_str(), &found) == 0) {
    const auto modified = found.st_mtim.tv_sec * 1'000'000'000L + found.st_mtim.tv_nsec;
    stamp = {found.st_ino, static_cast<std::uint64_t>(modified), static_cast<std::uint64_t>(found.st_size)};
  }
  if (stamp != stamp_) {
    stamp_ = stamp;
    read_rules();
  }
  return rules_;
}

void Directory::read_rules() {
  auto parsed = parse_rules(read_file(path_ / "rules"));
  report(parsed ? std::string() : parsed.error().detail);
  if (!parsed) return;
  rules_ = std::make_shared<Rules>(std::move(*parsed));
  facts_->rules_read = stamp_[1];
}

void Directory::report(const std::string& error) const {
  const auto file = path_ / "rules.error";
  std::error_code ignored;
  if (error.empty()) {
    std::filesystem::remove(file, ignored);
    return;
  }
  std::ofstream(file) << error << '\n';
  std::fprintf(stderr, "avseal-fault-pkcs11: %s\n", error.c_str());
}

void Directory::record_use(const std::string& line) const {
  const auto file = path_ / "uses";
  const int descriptor = ::open(file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  const auto whole = line + "\n";
  const bool written = ::write(descriptor, whole.data(), whole.size()) == static_cast<ssize_t>(whole.size());
  if (!written) std::fprintf(stderr, "avseal-fault-pkcs11: cannot write %s\n", file.c_str());
  if (descriptor >= 0) ::close(descriptor);
}

bool Directory::strikes(const Rule& rule) {
  const std::lock_guard lock(mutex_);
  Progress& progress = progress_[rule.name];
  if (rule.probability < 1 && draw(rule.seed, progress.draws++) >= rule.probability) return false;
  while (rule.times != 0) {
    if (progress.spent >= rule.times) return false;
    const auto file = path_ / "spent" / (rule.name + "." + std::to_string(++progress.spent));
    const int descriptor = ::open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (descriptor < 0 && errno == EEXIST) continue;  // another process took that one
    if (descriptor >= 0) ::close(descriptor);
    break;
  }
  ++facts_->injected;
  return true;
}

}  // namespace avseal::faults
