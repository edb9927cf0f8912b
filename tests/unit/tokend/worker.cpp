#include "worker.hpp"

#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <iterator>
#include <poll.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "tokens/base64.hpp"

namespace avseal::tokend {

namespace {

bool readable(int fd) {
  pollfd poll_fd{fd, POLLIN, 0};
  return ::poll(&poll_fd, 1, static_cast<int>(std::chrono::milliseconds(patience).count())) > 0;
}

void add_extension(X509* certificate, int nid, const char* value) {
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, nullptr, nid, value);
  X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
}

}  // namespace

bool eventually(const std::function<bool()>& condition) {
  const auto limit = std::chrono::steady_clock::now() + patience;
  while (std::chrono::steady_clock::now() < limit) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return false;
}

std::string make_ca_certificate(const tokens::PublicKey& key) {
  EVP_PKEY* root = EVP_EC_gen("P-256");
  X509* certificate = X509_new();
  X509_set_version(certificate, X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), 4711);
  X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
  X509_gmtime_adj(X509_getm_notAfter(certificate), 365 * 24 * 3600);
  X509_NAME* subject = X509_get_subject_name(certificate);
  X509_NAME_add_entry_by_NID(subject, NID_commonName, MBSTRING_ASC, reinterpret_cast<const unsigned char*>("UE CA"), -1,
                             -1, 0);
  X509_set_issuer_name(certificate, subject);
  X509_set_pubkey(certificate, key.native());
  add_extension(certificate, NID_basic_constraints, "critical,CA:TRUE,pathlen:0");
  add_extension(certificate, NID_key_usage, "critical,keyCertSign,cRLSign");
  X509V3_CTX context{};
  X509V3_set_ctx(&context, certificate, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* id = X509V3_EXT_conf_nid(nullptr, &context, NID_subject_key_identifier, "hash");
  X509_add_ext(certificate, id, -1);
  X509_EXTENSION_free(id);
  X509_sign(certificate, root, EVP_sha256());
  BIO* out = BIO_new(BIO_s_mem());
  PEM_write_bio_X509(out, certificate);
  char* data = nullptr;
  const long size = BIO_get_mem_data(out, &data);
  std::string pem(data, static_cast<std::size_t>(size));
  BIO_free(out);
  X509_free(certificate);
  EVP_PKEY_free(root);
  return pem;
}

std::optional<Client> Client::connect(const std::filesystem::path& socket) {
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, socket.c_str(), sizeof address.sun_path - 1);
  Client client(fd);
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) return std::nullopt;
  return client;
}

Client::Client(Client&& other) noexcept : fd_(std::exchange(other.fd_, -1)), reader_(std::move(other.reader_)) {}

Client::~Client() {
  if (fd_ >= 0) ::close(fd_);
}

bool Client::send(ByteView bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes = bytes.subspan(static_cast<std::size_t>(sent));
  }
  return true;
}

std::optional<Bytes> Client::receive() {
  for (;;) {
    const auto body = reader_->next();
    if (!body) return std::nullopt;
    if (*body) return Bytes((*body)->begin(), (*body)->end());
    const auto room = reader_->prepare();
    if (!readable(fd_)) return std::nullopt;
    const ssize_t got = ::recv(fd_, room.data(), room.size(), 0);
    if (got <= 0) return std::nullopt;
    reader_->commit(static_cast<std::size_t>(got));
  }
}

std::optional<ServerHello> Client::greet() {
  Bytes hello;
  append_client_hello(hello, {});
  if (!send(hello)) return std::nullopt;
  const auto body = receive();
  if (!body) return std::nullopt;
  auto decoded = decode_server_hello(*body);
  if (!decoded) return std::nullopt;
  return std::move(*decoded);
}

std::optional<Reply> Client::reply() {
  const auto body = receive();
  if (!body) return std::nullopt;
  auto decoded = decode_reply(*body);
  if (!decoded) return std::nullopt;
  return std::move(*decoded);
}

std::optional<Reply> Client::full(FrameType operation, std::string_view key, ByteView input, ByteView aad) {
  Bytes frame;
  if (!append_request(frame, operation, 1, key, input, aad) || !send(frame)) return std::nullopt;
  return reply();
}

Result<Bytes> Client::ask(FrameType operation, std::string_view key, ByteView input, ByteView aad) {
  auto answer = full(operation, key, input, aad);
  if (!answer) return errors::make(Category::unavailable, "test-end", "the connection ended");
  return std::move(answer->value);
}

bool Client::dropped() {
  return !receive().has_value();
}

WorkerProcess::WorkerProcess(const std::filesystem::path& config, const std::filesystem::path& socket,
                             const std::filesystem::path& log)
    : socket_(socket), log_(log) {
  const std::string program = std::string(AVSEAL_BINARY_DIR) + "/bin/avseal-tokend";
  std::vector<std::string> arguments = {program, "--config", config, "--socket", socket, "--die-with-parent"};
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions{};
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_addopen(&actions, 2, log.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  if (posix_spawn(&pid_, program.c_str(), &actions, nullptr, argv.data(), environ) != 0) pid_ = -1;
  posix_spawn_file_actions_destroy(&actions);
}

WorkerProcess::~WorkerProcess() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
}

bool WorkerProcess::ready() {
  return eventually([this] {
    auto client = Client::connect(socket_);
    return client && client->greet();
  });
}

void WorkerProcess::signal(int number) const {
  ::kill(pid_, number);
}

std::optional<int> WorkerProcess::wait() {
  int status = 0;
  if (!eventually([&] { return ::waitpid(pid_, &status, WNOHANG) == pid_; })) return std::nullopt;
  pid_ = -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

std::optional<int> WorkerProcess::wait_or_ready() {
  int status = 0;
  bool ended = false;
  eventually([&] {
    ended = ::waitpid(pid_, &status, WNOHANG) == pid_;
    auto client = Client::connect(socket_);
    return ended || (client && client->greet());
  });
  if (!ended) return std::nullopt;
  pid_ = -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

std::string WorkerProcess::log() const {
  std::ifstream in(log_);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

std::string WorkerProcess::last_line() const {
  std::string text = log();
  if (text.ends_with('\n')) text.pop_back();
  return text.substr(text.find_last_of('\n') + 1);
}

void WorkerTest::SetUp() {
  const auto module = pkcs11::Module::load(pkcs11::softhsm);
  ASSERT_TRUE(module);
  const auto token = pkcs11::Token::init(*module, "test", pkcs11::secret("so-87654321"), pkcs11::secret("1234-user"));
  ASSERT_TRUE(token) << token.error().detail;
  auto session = pkcs11::Session::open(*token, pkcs11::Session::Access::read_write);
  ASSERT_TRUE(session && session->login(pkcs11::secret("1234-user")));
  for (const pkcs11::KeyKind kind : pkcs11::all_key_kinds) {
    const std::string label(pkcs11::to_string(kind));
    const auto key = pkcs11::generate_key(*session, {kind, label, {}, tokens::Algorithm::es256});
    ASSERT_TRUE(key) << key.error().detail;
    if (key->public_key) public_keys.emplace(label, *key->public_key);
  }
  ue_ca_pem = make_ca_certificate(public_keys.at("ue-ca"));
  softhsm.directory.write("ue-ca.pem", ue_ca_pem);
  softhsm.directory.write("pin", "1234-user\n");
}

std::filesystem::path WorkerTest::write_config(const std::string& head, const std::string& key_members) {
  std::string text = "module = \"" + worker_module + "\"\ntoken = \"pkcs11:token=test\"\nstate_directory = \".\"\n";
  text += head.empty() ? "pin_file = \"pin\"\n" : head;
  for (const pkcs11::KeyKind kind : pkcs11::all_key_kinds) {
    const std::string name(pkcs11::to_string(kind));
    text += "[[keys]]\nname = \"" + name + "\"\nkind = \"" + name + "\"\nuri = \"pkcs11:object=" + name + "\"\n" +
            key_members;
    if (kind == pkcs11::KeyKind::ue_ca) text += "issuer_certificate = \"ue-ca.pem\"\nmax_validity_days = 31\n";
    if (kind == pkcs11::KeyKind::ledger) text += "origin = \"test.example/node\"\n";
  }
  return softhsm.directory.write("tokend.toml", text);
}

std::filesystem::path WorkerTest::socket(const std::string& name) const {
  return softhsm.directory.path() / (name + ".sock");
}

std::unique_ptr<WorkerProcess> WorkerTest::start(const std::filesystem::path& config, const std::string& name) {
  return std::make_unique<WorkerProcess>(config, socket(name), softhsm.directory.path() / (name + ".log"));
}

Client WorkerTest::connect(const std::string& name) {
  auto client = Client::connect(socket(name));
  EXPECT_TRUE(client && client->greet());
  return std::move(*client);
}

std::string jws_input(std::string_view header, std::string_view claims) {
  return tokens::base64url_encode(as_bytes(header)) + "." + tokens::base64url_encode(as_bytes(claims));
}

}  // namespace avseal::tokend
