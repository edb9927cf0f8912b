// What a device keeps between runs: a directory (0700) of files (0600) written atomically and durably.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "tokens/bytes.hpp"
#include "tokens/result.hpp"

namespace avseal::device {

// state.json, written last by init: its presence means that the other files are complete.
//   {"srk":{"name":"<hex>","persistent":true},"ueKey":{"name":"<hex>"},"version":1}
struct DeviceState {
  Bytes srk_name;               // pinned; 34 bytes
  bool srk_persistent = false;  // at 0x81000001; otherwise made again by every process
  Bytes ue_key_name;            // of the key in ue-key.tpm
};
std::string render_state(const DeviceState& state);
Result<DeviceState> parse_state(std::string_view text);  // strict. Reasons of json.hpp, or "state-malformed"

namespace files {
inline constexpr std::string_view state = "state.json";
inline constexpr std::string_view key = "ue-key.tpm";    // TPM2B_PUBLIC || TPM2B_PRIVATE
inline constexpr std::string_view auth = "ue-key.auth";  // 32 bytes; also the name of the systemd credential
inline constexpr std::string_view chain = "ue-cert.pem";
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

  // Held while init or import change the directory. Reason "state-busy".
  [[nodiscard]] Result<Fd> lock() const;
  [[nodiscard]] bool has(std::string_view name) const;
  // A regular file of at most max bytes, ours and closed to others.
  [[nodiscard]] Result<Bytes> read(std::string_view name, std::size_t max) const;
  [[nodiscard]] Result<void> write(std::string_view name, ByteView content) const;
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  explicit StateDirectory(std::filesystem::path path) : path_(std::move(path)) {}
  std::filesystem::path path_;
};

// A regular file of at most max bytes; `only_ours` asks that nobody else may touch it.
Result<Bytes> read_file(const std::filesystem::path& path, std::size_t max, bool only_ours);

}  // namespace avseal::device
