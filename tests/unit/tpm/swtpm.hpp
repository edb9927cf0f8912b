// A software TPM of a test's own, and a relay in front of it that listens and can cut the line.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <poll.h>
#include <signal.h>
#include <string>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>

#include "../support/temp_dir.hpp"
#include "tokens/bytes.hpp"

namespace avseal::test {

template <class Condition>
bool eventually(Condition condition, std::chrono::milliseconds limit = std::chrono::seconds(20)) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return true;
}

inline sockaddr_un unix_address(const std::string& path) {
  sockaddr_un result{};
  result.sun_family = AF_UNIX;
  path.copy(result.sun_path, sizeof result.sun_path - 1);
  return result;
}

// Whether somebody listens at a socket; its file is there a moment earlier.
inline bool answers(const std::string& path) {
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_un name = unix_address(path);
  const bool connected = ::connect(fd, reinterpret_cast<const sockaddr*>(&name), sizeof name) == 0;
  ::close(fd);
  return connected;
}

class Swtpm {
 public:
  enum class Setup {
    bare,
    endorsed,  // EK certificates of a test CA in NV (RSA-2048 and P-384), and a platform certificate
  };

  explicit Swtpm(Setup setup = Setup::bare) {
    std::filesystem::create_directory(dir_.path() / "state");
    if (setup == Setup::endorsed) endorse();
    start();
  }
  Swtpm(const Swtpm&) = delete;
  Swtpm& operator=(const Swtpm&) = delete;
  ~Swtpm() { stop(); }

  void start() {
    const std::string state = "dir=" + (dir_.path() / "state").string();
    const std::string server = "type=unixio,path=" + socket().string() + ",mode=0600";
    const std::string control = "type=unixio,path=" + socket().string() + ".ctrl,mode=0600";
    const std::string log = "file=" + (dir_.path() / "log").string() + ",level=1";
    const pid_t parent = ::getpid();
    pid_ = ::fork();
    ASSERT_GE(pid_, 0);
    if (pid_ == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      if (::getppid() != parent) ::_exit(1);
      ::execlp("swtpm", "swtpm", "socket", "--tpm2", "--tpmstate", state.c_str(), "--server", server.c_str(), "--ctrl",
               control.c_str(), "--flags", "startup-clear", "--log", log.c_str(), nullptr);
      ::_exit(127);
    }
    ASSERT_TRUE(eventually([&] { return answers(socket()) && answers(socket().string() + ".ctrl"); }));
  }

  // Power loss.
  void stop() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = -1;
    std::filesystem::remove(socket());
    std::filesystem::remove(socket().string() + ".ctrl");
  }

  void restart() {
    stop();
    start();
  }

  // A TPM that hangs in the middle of everything, until resume().
  void freeze() const { ::kill(pid_, SIGSTOP); }
  void resume() const { ::kill(pid_, SIGCONT); }

  // Runs a program of tpm2-tools against it: "tpm2_clear -Q".
  [[nodiscard]] int tool(const std::string& command) const {
    const std::string line =
        "cd '" + dir_.path().string() + "' && export TPM2TOOLS_TCTI='" + tcti() + "' && " + command;
    return std::system(line.c_str());
  }

  // Writes a certificate of the test CA for the P-256 endorsement key to its NV index, with padding behind it.
  void add_p256_certificate() const {
    write("p256.sh",
          "set -e\n"
          "tpm2_createek -c ek.ctx -G ecc -u ek.pub; tpm2_flushcontext -t; tpm2_readpublic -c ek.ctx >rp; "
          "tpm2_flushcontext -t\n"
          "swtpm_localca --type ek --ek \"x=$(sed -n 's/^x: //p' rp),y=$(sed -n 's/^y: //p' rp),id=secp256r1\" --dir . "
          "--tpm2"
          " --tpm-spec-family 2.0 --tpm-spec-level 0 --tpm-spec-revision 164 --tpm-manufacturer id:00001014"
          " --tpm-model swtpm --tpm-version id:20191023 --configfile localca.conf --optsfile localca.options --vmid "
          "ue-p256\n"
          "printf '\\377\\377\\377\\377' | cat ek.cert - >ek.padded\n"
          "tpm2_nvdefine -Q 0x01C0000A -C p -s $(stat -c %s ek.padded)"
          " -a 'ppwrite|ppread|ownerread|authread|no_da|platformcreate|writedefine'\n"
          "tpm2_nvwrite -Q 0x01C0000A -C p -i ek.padded\ntpm2_nvwritelock -C p 0x01C0000A\n");
    ASSERT_EQ(tool("sh p256.sh >p256.log 2>&1"), 0);
  }

  [[nodiscard]] std::string tcti() const { return "swtpm:path=" + socket().string(); }
  [[nodiscard]] std::filesystem::path socket() const { return dir_.path() / "s"; }
  [[nodiscard]] const std::filesystem::path& dir() const { return dir_.path(); }

 private:
  void write(const std::string& name, const std::string& text) const { std::ofstream(dir_.path() / name) << text; }

  void endorse() const {
    const std::string d = dir_.path().string();
    write("localca.conf", "statedir = " + d + "/ca\nsigningkey = " + d + "/ca/signkey.pem\nissuercert = " + d +
                              "/ca/issuercert.pem\ncertserial = " + d + "/ca/certserial\n");
    write("localca.options",
          "--platform-manufacturer ExampleMaker\n--platform-version 2.1\n--platform-model XR-UE-1\n");
    write("setup.conf", "create_certs_tool = /usr/bin/swtpm_localca\ncreate_certs_tool_config = " + d +
                            "/localca.conf\ncreate_certs_tool_options = " + d +
                            "/localca.options\nactive_pcr_banks = sha256\n");
    ASSERT_EQ(tool("mkdir ca certs && swtpm_setup --tpm2 --tpmstate state --config setup.conf --create-ek-cert "
                   "--create-platform-cert --lock-nvram --write-ek-cert-files certs --overwrite --logfile setup.log "
                   ">setup.out 2>&1"),
              0);
  }

  TempDir dir_;
  pid_t pid_ = -1;
};

// Stands between client and swtpm on both channels. The TCTI opens a connection for each command, so what one
// connection carries is one command.
class Relay {
 public:
  explicit Relay(const Swtpm& tpm) : upstream_(tpm.socket().string()), path_(tpm.dir() / "r") {
    data_ = listen_at(path_);
    control_ = listen_at(path_ + ".ctrl");
    thread_ = std::thread([this] { serve(); });
  }
  Relay(const Relay&) = delete;
  Relay& operator=(const Relay&) = delete;
  ~Relay() {
    stop_ = true;
    thread_.join();
    ::close(data_);
    ::close(control_);
  }

  [[nodiscard]] std::string tcti() const { return "swtpm:path=" + path_; }
  void cut_next(int commands) { cuts_ = commands; }  // these commands get no answer but a closed connection
  // Lets so many commands through, and cuts the next.
  void cut_after(int commands) {
    pass_ = commands;
    cuts_ = 1;
  }
  // The next commands are answered with this code, and do not reach the TPM.
  void refuse_next(int commands, std::uint32_t rc) {
    rc_ = rc;
    refusals_ = commands;
  }
  // Did these bytes pass, in either direction?
  [[nodiscard]] bool saw(ByteView bytes) const {
    const std::lock_guard lock(mutex_);
    const auto in = [&](const Bytes& message) {
      return std::search(message.begin(), message.end(), bytes.begin(), bytes.end()) != message.end();
    };
    return std::any_of(commands_.begin(), commands_.end(), in) || std::any_of(answers_.begin(), answers_.end(), in);
  }
  [[nodiscard]] std::vector<Bytes> commands() const {
    const std::lock_guard lock(mutex_);
    return commands_;
  }

 private:
  static int listen_at(const std::string& path) {
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const sockaddr_un name = unix_address(path);
    if (::bind(fd, reinterpret_cast<const sockaddr*>(&name), sizeof name) != 0 || ::listen(fd, 8) != 0) std::abort();
    return fd;
  }

  void serve() {
    while (!stop_) {
      std::array<pollfd, 2> ready{pollfd{data_, POLLIN, 0}, pollfd{control_, POLLIN, 0}};
      if (::poll(ready.data(), ready.size(), 20) <= 0) continue;
      if (ready[0].revents != 0) pass(data_, upstream_, true);
      if (ready[1].revents != 0) pass(control_, upstream_ + ".ctrl", false);
    }
  }

  // Connections are short and come one after the other.
  void pass(int listener, const std::string& to, bool record) {
    const int client = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
    const int server = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const sockaddr_un name = unix_address(to);
    const bool connected = ::connect(server, reinterpret_cast<const sockaddr*>(&name), sizeof name) == 0;
    while (connected && !stop_) {
      std::array<pollfd, 2> ready{pollfd{client, POLLIN, 0}, pollfd{server, POLLIN, 0}};
      if (::poll(ready.data(), ready.size(), 20) <= 0) continue;
      const bool from_client = ready[0].revents != 0;
      std::array<std::uint8_t, 4096> buffer{};
      const ssize_t size = ::read(from_client ? client : server, buffer.data(), buffer.size());
      if (size <= 0) break;
      if (record) {
        const std::lock_guard lock(mutex_);
        (from_client ? commands_ : answers_).emplace_back(buffer.data(), buffer.data() + size);
      }
      if (from_client && record) {
        if (refusals_ > 0) {
          --refusals_;
          const Bytes answer = refusal(rc_);
          if (::send(client, answer.data(), answer.size(), MSG_NOSIGNAL) < 0) break;
          continue;
        }
        if (cuts_ > 0 && pass_-- <= 0) {
          --cuts_;
          break;
        }
      }
      if (::send(from_client ? server : client, buffer.data(), static_cast<std::size_t>(size), MSG_NOSIGNAL) != size)
        break;
    }
    ::close(client);
    ::close(server);
  }

  static Bytes refusal(std::uint32_t rc) {
    Bytes answer{0x80, 0x01, 0, 0, 0, 10};
    for (int shift = 24; shift >= 0; shift -= 8) answer.push_back(static_cast<std::uint8_t>(rc >> shift));
    return answer;
  }

  std::string upstream_;
  std::string path_;
  int data_ = -1;
  int control_ = -1;
  std::atomic<bool> stop_{false};
  std::atomic<int> cuts_{0};
  std::atomic<int> pass_{0};
  std::atomic<int> refusals_{0};
  std::atomic<std::uint32_t> rc_{0};
  mutable std::mutex mutex_;
  std::vector<Bytes> commands_;
  std::vector<Bytes> answers_;
  std::thread thread_;
};

// What a command with sessions says on the wire (TPM 2.0 part 1, 18).
struct CommandView {
  std::uint32_t code = 0;
  std::vector<std::uint8_t> session_attributes;
  std::vector<std::uint32_t> session_handles;

  static std::uint32_t be32(const Bytes& b, std::size_t at) {
    return std::uint32_t{b[at]} << 24U | std::uint32_t{b[at + 1]} << 16U | std::uint32_t{b[at + 2]} << 8U | b[at + 3];
  }
  static std::size_t be16(const Bytes& b, std::size_t at) { return std::size_t{b[at]} << 8U | b[at + 1]; }

  // handles: how many the command has in front of its authorization area.
  static CommandView of(const Bytes& bytes, std::size_t handles) {
    CommandView view;
    view.code = be32(bytes, 6);
    if (be16(bytes, 0) != 0x8002) return view;
    std::size_t at = 10 + 4 * handles;
    const std::size_t end = at + 4 + be32(bytes, at);
    at += 4;
    while (at < end) {
      view.session_handles.push_back(be32(bytes, at));
      at += 4;
      at += 2 + be16(bytes, at);
      view.session_attributes.push_back(bytes[at]);
      at += 1;
      at += 2 + be16(bytes, at);
    }
    return view;
  }
};

}  // namespace avseal::test
