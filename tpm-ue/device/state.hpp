// What a device keeps between runs: a directory (0700) of files (0600) written atomically and durably.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "tokens/bytes.hpp"
#include "tokens/result.hpp"

namespace avseal::device {

// What enrollment left: who this device is at the operator, and the attestation key that renews its certificate.
struct Enrolled {
  std::string server;  // id of the enrollment role
  std::string impu;    // canonical
  std::string device;  // 64 hex digits: the operator's name of this device
  std::string ek;      // type of the endorsement key that was used
  Bytes ak_unique;     // 32 bytes: the attestation key is made from them
  Bytes ak_name;
  std::int64_t renew_after = 0;  // Unix time
};

// state.json, written last by init and enrollment: its presence means that the files it speaks of are complete.
//   {"enrollment":{"ak":{"name":"<hex>","unique":"<hex>"},"device":"<hex>","ek":"p-256","impu":"sip:..",
//    "renewAfter":1763930000,"server":"https://.."},
//    "srk":{"name":"<hex>","persistent":true},"ueKey":{"generation":3,"name":"<hex>"},"version":2}
// Version 1 has neither "enrollment" nor "generation" and is still read.
struct DeviceState {
  Bytes srk_name;                // pinned; 34 bytes
  bool srk_persistent = false;   // at 0x81000001; otherwise made again by every process
  Bytes ue_key_name;             // of the key in files::key(generation)
  std::uint32_t generation = 0;  // counts the UE keys of this directory
  std::optional<Enrolled> enrolled;
};
std::string render_state(const DeviceState& state);
Result<DeviceState> parse_state(std::string_view text);  // strict. Reasons of json.hpp, or "state-malformed"

// The files of one UE key have its generation in their names, but for generation 0: ue-key.tpm, ue-key-1.tpm.
namespace files {
inline constexpr std::string_view state = "state.json";
inline constexpr std::string_view credential = "ue-key.auth";  // of systemd, for the keys of every generation
std::string key(std::uint32_t generation);                     // TPM2B_PUBLIC || TPM2B_PRIVATE
std::string auth(std::uint32_t generation);                    // 32 bytes
std::string chain(std::uint32_t generation);                   // PEM, the UE certificate first
}  // namespace files

// A file descriptor.
class Fd {
 public:
  explicit Fd(int fd = -1) noexcept : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Fd();
  [[nodiscard]] int get() const { return fd_; }

 private:
  int fd_;
};

class StateDirectory {
 public:
  static Result<StateDirectory> create(const std::filesystem::path& path);  // made with 0700 if it is not there
  static Result<StateDirectory> open(const std::filesystem::path& path);    // ours and closed to others

  // Held while init, import or enrollment change the directory. Reason "state-busy".
  [[nodiscard]] Result<Fd> lock() const;
  [[nodiscard]] bool has(std::string_view name) const;
  // A regular file of at most max bytes, ours and closed to others.
  [[nodiscard]] Result<Bytes> read(std::string_view name, std::size_t max) const;
  [[nodiscard]] Result<void> write(std::string_view name, ByteView content) const;
  void remove(std::string_view name) const;  // if it is there
  // Which writing of a file this is: another one after each write().
  struct Stamp {
    std::uint64_t file = 0;
    std::int64_t seconds = 0;
    std::int64_t nanoseconds = 0;
    bool operator==(const Stamp&) const = default;
  };
  [[nodiscard]] Stamp stamp(std::string_view name) const;  // of nothing: all zero
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  explicit StateDirectory(std::filesystem::path path) : path_(std::move(path)) {}
  std::filesystem::path path_;
};

// A regular file of at most max bytes; `only_ours` asks that nobody else may touch it.
Result<Bytes> read_file(const std::filesystem::path& path, std::size_t max, bool only_ours);

}  // namespace avseal::device
