#include "support.hpp"

#include <fstream>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <fmt/format.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

namespace avseal::keyring::testing {
namespace {

std::string take(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  std::string text(data, static_cast<std::size_t>(size));
  BIO_free(bio);
  return text;
}

void extend(X509* certificate, int nid, const char* value) {
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, nullptr, nid, value);
  if (extension == nullptr) throw std::runtime_error("X509V3_EXT_conf_nid");
  X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
}

}  // namespace

void write_file(const std::filesystem::path& path, std::string_view text) {
  std::ofstream(path, std::ios::binary) << text;
}

SoftKey::SoftKey(std::string_view curve) : key_(EVP_EC_gen(std::string(curve).c_str()), &EVP_PKEY_free) {}

Bytes SoftKey::sign(ByteView input) const {
  const bool p256 = public_key().signature_size() == 64;
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  std::size_t size = 0;
  EVP_DigestSignInit(context, nullptr, p256 ? EVP_sha256() : EVP_sha384(), nullptr, key_.get());
  EVP_DigestSign(context, nullptr, &size, input.data(), input.size());
  Bytes der(size);
  EVP_DigestSign(context, der.data(), &size, input.data(), input.size());
  EVP_MD_CTX_free(context);
  der.resize(size);
  return tokens::signature_from_der(der, public_key().signature_size()).value();
}

std::string SoftKey::certificate_pem(const CertificateOptions& options) const {
  return certificate_pem_for(public_key(), options);
}

std::string SoftKey::certificate_pem_for(const tokens::PublicKey& subject, const CertificateOptions& options) const {
  X509* certificate = X509_new();
  X509_set_version(certificate, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), 4711);
  X509_gmtime_adj(X509_getm_notBefore(certificate), options.valid_from);
  X509_gmtime_adj(X509_getm_notAfter(certificate), options.valid_to);
  X509_NAME* name = X509_get_subject_name(certificate);
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>("signer"), -1, -1, 0);
  X509_set_issuer_name(certificate, name);
  X509_set_pubkey(certificate, subject.native());
  extend(certificate, NID_basic_constraints, options.ca ? "critical,CA:TRUE" : "critical,CA:FALSE");
  extend(certificate, NID_key_usage, options.digital_signature ? "critical,digitalSignature" : "critical,keyAgreement");
  if (options.ue_eku) extend(certificate, NID_ext_key_usage, std::string(tokens::ue_eku_oid).c_str());
  X509_sign(certificate, key_.get(), EVP_sha256());
  BIO* bio = BIO_new(BIO_s_mem());
  PEM_write_bio_X509(bio, certificate);
  X509_free(certificate);
  return take(bio);
}

std::string SoftKey::public_pem() const {
  BIO* bio = BIO_new(BIO_s_mem());
  PEM_write_bio_PUBKEY(bio, key_.get());
  return take(bio);
}

FakeWorker::FakeWorker(asio::io_context& context, std::filesystem::path socket, std::string instance)
    : context_(context), path_(std::move(socket)) {
  hello.instance = std::move(instance);
}

void FakeWorker::offer(const std::string& name, const std::string& kind, const SoftKey& key) {
  hello.keys.push_back({name, kind, "ES256", key.public_key().spki()});
  keys_.insert_or_assign(name, key);
}

void FakeWorker::offer_kek(const std::string& name) {
  hello.keys.push_back({name, "dac-kek", "A256GCM", {}});
}

void FakeWorker::listen() {
  ::unlink(path_.c_str());
  acceptor_ = std::make_shared<Acceptor>(context_, asio::local::stream_protocol::endpoint(path_.string()));
  asio::co_spawn(context_, accept_loop(acceptor_), asio::detached);
}

void FakeWorker::kill() {
  if (const auto acceptor = std::exchange(acceptor_, nullptr)) acceptor->close();
  for (const auto& weak : std::exchange(sockets_, {})) {
    if (const auto socket = weak.lock()) socket->close();
  }
  ::unlink(path_.c_str());
}

std::size_t FakeWorker::open_connections() const {
  return static_cast<std::size_t>(
      std::count_if(sockets_.begin(), sockets_.end(), [](const auto& weak) { return !weak.expired(); }));
}

asio::awaitable<void> FakeWorker::accept_loop(std::shared_ptr<Acceptor> acceptor) {
  for (;;) {
    auto [ec, socket] = co_await acceptor->async_accept(asio::as_tuple(asio::use_awaitable));
    if (ec || !acceptor->is_open()) co_return;
    ++connections;
    auto shared = std::make_shared<Socket>(std::move(socket));
    sockets_.emplace_back(shared);
    asio::co_spawn(context_, serve(std::move(shared)), asio::detached);
  }
}

asio::awaitable<void> FakeWorker::serve(std::shared_ptr<Socket> socket) {
  if (!silent) {
    for (auto& key : hello.keys) key.sequence = sequences_[key.name];
    Bytes out;
    tokend::append_server_hello(out, hello).value();
    asio::write(*socket, asio::buffer(out));
  }
  tokend::FrameReader reader;
  bool greeted = false;
  for (;;) {
    const auto body = reader.next().value();
    if (body && !greeted) {
      EXPECT_EQ(tokend::decode_client_hello(*body).value().version, tokend::protocol_version);
      greeted = true;
    } else if (body) {
      auto request = tokend::decode_request(*body).value();
      ++(request.operation == tokend::FrameType::probe ? probes : seen);
      origins_[++last_id_] = {socket, request.id};
      request.id = last_id_;
      on_request(*this, std::move(request));
    } else {
      const auto room = reader.prepare();
      const auto [ec, size] =
          co_await socket->async_read_some(asio::buffer(room.data(), room.size()), asio::as_tuple(asio::use_awaitable));
      if (ec || !socket->is_open()) co_return;
      reader.commit(size);
    }
  }
}

void FakeWorker::send(tokend::Reply reply) {
  const auto origin = origins_.find(reply.id);
  const auto socket = origin == origins_.end() ? sockets_.back().lock() : origin->second.socket;
  if (origin != origins_.end()) {
    reply.id = origin->second.id;
    origins_.erase(origin);
  }
  Bytes out;
  tokend::append_reply(out, reply);
  boost::system::error_code ignored;
  if (socket) asio::write(*socket, asio::buffer(out), ignored);
}

void FakeWorker::answer(const tokend::Request& request) {
  using enum tokend::FrameType;
  tokend::Reply reply;
  reply.id = request.id;
  reply.recoveries = recoveries;
  if (request.operation == sign) {
    reply.sequence = ++sequences_[request.key];
    reply.value = keys_.at(request.key).sign(request.input);
  } else if (request.operation == wrap) {  // aad || data key, bit by bit inverted: enough to see that both arrive
    Bytes wrapped(request.aad);
    wrapped.insert(wrapped.end(), request.input.begin(), request.input.end());
    for (auto& byte : wrapped) byte = static_cast<std::uint8_t>(~byte);
    reply.value = std::move(wrapped);
  } else if (request.operation == unwrap) {
    Bytes plain(request.input);
    for (auto& byte : plain) byte = static_cast<std::uint8_t>(~byte);
    if (!std::equal(request.aad.begin(), request.aad.end(), plain.begin())) return fail(request, "wrapped-invalid");
    reply.value = Bytes(plain.begin() + static_cast<std::ptrdiff_t>(request.aad.size()), plain.end());
  }
  send(reply);
}

void FakeWorker::answer_badly(const tokend::Request& request) {
  send({request.id, ++sequences_[request.key], keys_.at(request.key).sign(as_bytes("something else"))});
}

void FakeWorker::fail(const tokend::Request& request, std::string_view reason) {
  tokend::Reply reply;
  reply.id = request.id;
  reply.ckr = 0x30;  // CKR_DEVICE_ERROR
  reply.value = errors::make(Category::unavailable, tokend::known_reason(reason), "as the test says");
  send(std::move(reply));
}

void FakeWorker::answer_kept() {
  const auto all = std::exchange(kept, {});
  for (auto request = all.rbegin(); request != all.rend(); ++request) answer(*request);
}

KeyringTest::KeyringTest() {
  write_file(dir / "avatar-id.pem", soft_key.certificate_pem());
  config.tokens = {{"hsm", {}}};
  config.keys = {{"signer", KeyKind::avatar_id, dir / "avatar-id.pem", {"hsm"}, true},
                 {"kek", KeyKind::dac_kek, {}, {"hsm"}, true}};
  config.attempt_limit = 10s;  // tests of the limit lower it
  config.start_limit = 5s;
  config.on_worker_connected = [this](const WorkerCounts& told) { counts.push_back(told); };
  config.on_worker_lost = [this](const WorkerLoss& loss) { losses.push_back(loss); };
  ledger::Config log;
  log.directory = dir / "ledger";
  log.origin = "test/node";
  ledger = ledger::Ledger::open(std::move(log), system_clock_now, registry).value();
}

KeyringTest::~KeyringTest() {
  keyring.reset();
  for (auto& worker : workers) worker.kill();
  for (int i = 0; i < 100 && context.poll() > 0; ++i) context.restart();
  workers.clear();
  ledger->close();
}

FakeWorker& KeyringTest::add_worker(const std::string& token) {
  const auto socket = dir / fmt::format("{}.sock", workers.size() + 1);
  auto& worker = workers.emplace_back(context, socket, fmt::format("instance-{}", workers.size() + 1));
  for (auto& entry : config.tokens) {
    if (entry.name == token) entry.sockets.push_back(socket);
  }
  worker.offer("signer", "avatar-id", soft_key);
  worker.offer_kek("kek");
  worker.listen();
  return worker;
}

Result<void> KeyringTest::try_open() {
  auto loaded = Keys::load(config.keys, to_unix(system_clock_now()));
  if (!loaded) return loaded.error();
  keys = *loaded;
  auto opened = run(Keyring::open(config, keys, context.get_executor(), registry));
  if (!opened) return opened.error();
  keyring = std::move(*opened);
  return {};
}

void KeyringTest::open() {
  const auto opened = try_open();
  ASSERT_TRUE(opened) << opened.error().detail;
  // open() returns when one worker is there; most tests want all.
  run_until([&] {
    for (const auto& worker : workers) {
      if (worker.connections == 0) return false;
    }
    for (const auto& status : keyring->status()) {
      if (!status.why_not.empty()) return false;
    }
    return true;
  });
}

bool KeyringTest::run_until(const std::function<bool()>& condition) {
  const auto limit = std::chrono::steady_clock::now() + 10s;
  while (!condition()) {
    if (std::chrono::steady_clock::now() >= limit) {
      ADD_FAILURE() << "the condition did not come true within ten seconds";
      return false;
    }
    if (context.stopped()) context.restart();
    context.run_one_for(10ms);
  }
  return true;
}

asio::awaitable<void> KeyringTest::sign_one(Signed& one, Deadline deadline, Priority priority) {
  ledger::Event event;
  event.type = "sign.avatar-id";
  auto slot = co_await ledger->open_slot(std::move(event));
  if (!slot) throw std::runtime_error(slot.error().detail);
  const auto key = keyring->keys().primary(KeyKind::avatar_id).value();
  auto result = co_await keyring->sign(*slot, *key, as_bytes(one.input), deadline, priority);
  const auto outcome = result ? ledger::Outcome::released : ledger::Outcome::refused;
  const auto committed = co_await slot->commit(outcome, result ? "" : result.error().reason);
  EXPECT_TRUE(committed);
  one.result = std::move(result);
}

KeyringTest::Signed& KeyringTest::begin(std::string input, std::chrono::milliseconds deadline, Priority priority) {
  auto& one = signatures.emplace_back();
  one.input = std::move(input);
  asio::co_spawn(context, sign_one(one, std::chrono::steady_clock::now() + deadline, priority),
                 [](std::exception_ptr thrown) {
                   if (thrown) std::rethrow_exception(thrown);
                 });
  return one;
}

Result<Bytes> KeyringTest::sign(std::string input, std::chrono::milliseconds deadline) {
  const auto& one = begin(std::move(input), deadline);
  run_until([&] { return one.result.has_value(); });
  return *one.result;
}

bool KeyringTest::verifies(const Signed& one) const {
  return one.ok() && soft_key.public_key().verify(as_bytes(one.input), one.result->value()).has_value();
}

std::vector<boost::json::object> KeyringTest::uses() {
  ledger->close();
  std::vector<boost::json::object> all;
  const auto leaves = ledger::read_leaves(dir / "ledger");
  for (const auto& leaf : leaves.value()) {
    const auto value = boost::json::parse(leaf);
    if (const auto* listed = value.as_object().if_contains("keys")) {
      for (const auto& use : listed->as_array()) all.push_back(use.as_object());
    }
  }
  return all;
}

double KeyringTest::counter(const std::string& family, const std::map<std::string, std::string>& labels) {
  for (const auto& collected : registry.Collect()) {
    if (collected.name != family) continue;
    for (const auto& metric : collected.metric) {
      std::map<std::string, std::string> found;
      for (const auto& label : metric.label) found[label.name] = label.value;
      if (found == labels) return metric.counter.value;
    }
  }
  return 0;
}

}  // namespace avseal::keyring::testing
