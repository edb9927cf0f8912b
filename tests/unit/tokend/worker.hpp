// A real avseal-tokend over a SoftHSM token of its own, and a client that speaks its protocol.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <sys/types.h>
#include <vector>

#include "../pkcs11/fixture.hpp"
#include "tokend/protocol.hpp"

namespace avseal::tokend {

inline constexpr std::chrono::seconds patience{60};  // far more than anything here takes

// Polls until the condition holds; false after `patience`.
bool eventually(const std::function<bool()>& condition);

// A CA certificate over `key`, signed by a root that is forgotten; PEM.
std::string make_ca_certificate(const tokens::PublicKey& key);

class Client {
 public:
  static std::optional<Client> connect(const std::filesystem::path& socket);  // does not wait for the hello
  Client(Client&& other) noexcept;
  Client& operator=(Client&&) = delete;
  ~Client();

  bool send(ByteView bytes);
  std::optional<ServerHello> greet();  // exchanges hellos
  std::optional<Bytes> receive();      // one frame's body, or nothing at the end of the connection
  std::optional<Reply> reply();
  std::optional<Reply> full(FrameType operation, std::string_view key, ByteView input, ByteView aad = {});
  Result<Bytes> ask(FrameType operation, std::string_view key, ByteView input, ByteView aad = {});
  bool dropped();  // the worker closes the connection, sending nothing more

 private:
  explicit Client(int fd) : fd_(fd) {}
  int fd_;
  std::unique_ptr<FrameReader> reader_ = std::make_unique<FrameReader>();
};

class WorkerProcess {
 public:
  WorkerProcess(const std::filesystem::path& config, const std::filesystem::path& socket,
                const std::filesystem::path& log);
  WorkerProcess(const WorkerProcess&) = delete;
  WorkerProcess& operator=(const WorkerProcess&) = delete;
  ~WorkerProcess();

  bool ready();  // it accepts connections and greets
  void signal(int number) const;
  std::optional<int> wait();           // its exit code, or 128 + signal
  std::optional<int> wait_or_ready();  // nothing if it serves
  [[nodiscard]] std::string log() const;
  [[nodiscard]] std::string last_line() const;

 private:
  pid_t pid_ = -1;
  std::filesystem::path socket_;
  std::filesystem::path log_;
};

// A token with one key of each kind, and a configuration for them.
class WorkerTest : public ::testing::Test {
 protected:
  void SetUp() override;

  // The configuration of all six keys; `head` replaces "pin_file", `keys` adds members to each key.
  std::filesystem::path write_config(const std::string& head = {}, const std::string& key_members = {});
  std::unique_ptr<WorkerProcess> start(const std::filesystem::path& config, const std::string& name = "worker");
  [[nodiscard]] std::filesystem::path socket(const std::string& name = "worker") const;
  Client connect(const std::string& name = "worker");  // greeted

  pkcs11::SoftHsm softhsm;
  std::string worker_module = pkcs11::softhsm;
  std::map<std::string, tokens::PublicKey> public_keys;  // by label
  std::string ue_ca_pem;
};

// JWS signing inputs that the kinds sign.
std::string jws_input(std::string_view header, std::string_view claims = R"({"iat":1})");
inline constexpr std::string_view passport_header =
    R"({"alg":"ES256","ppt":"avatar","typ":"passport","x5u":"https://a/b"})";
inline constexpr std::string_view metadata_header =
    R"({"alg":"ES256","kid":"k","typ":"avatar-metadata+jwt","x5c":["AA=="]})";
inline constexpr std::string_view access_header = R"({"alg":"ES256","kid":"k","typ":"at+jwt"})";
inline constexpr std::string_view checkpoint =
    "test.example/node/2026\n42\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n";

}  // namespace avseal::tokend
