// What the tests of the roles that sign with an HSM share: a PKI made with OpenSSL, a keyring with software keys, a
// real store and a real ledger in a directory of their own, a clock that the test sets, and a router to call through.
#pragma once

#include <cstdlib>
#include <fstream>
#include <map>
#include <stdexcept>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "../support/temp_dir.hpp"
#include "http/router.hpp"
#include "keyring/keyring.hpp"
#include "ledger/ledger.hpp"
#include "store/store.hpp"
#include "tokens/certificate_request.hpp"
#include "tokens/crl.hpp"
#include "tokens/digest.hpp"

namespace avseal::test {

inline constexpr UnixSeconds start_time = 1'763'930'000;

using Key = std::shared_ptr<EVP_PKEY>;
inline Key make_key(const char* curve = "P-256") {
  return {EVP_EC_gen(curve), EVP_PKEY_free};
}

inline tokens::PublicKey public_of(const Key& key) {
  return tokens::PublicKey(key);
}

inline Bytes sign_raw(const Key& key, ByteView message) {
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(), &EVP_MD_CTX_free);
  const auto width = public_of(key).signature_size();
  Bytes der(160);
  std::size_t size = der.size();
  if (EVP_DigestSignInit(context.get(), nullptr, width == 64 ? EVP_sha256() : EVP_sha384(), nullptr, key.get()) != 1 ||
      EVP_DigestSign(context.get(), der.data(), &size, message.data(), message.size()) != 1)
    throw std::runtime_error("sign_raw");
  return tokens::signature_from_der(ByteView(der).first(size), width).value();
}

// extensions: OpenSSL's configuration names and values. No issuer: self-signed.
inline tokens::Certificate make_certificate(const std::string& name, const Key& key, const Key& issuer_key,
                                            const tokens::Certificate* issuer,
                                            const std::vector<std::pair<std::string, std::string>>& extensions,
                                            UnixSeconds not_after = start_time + 365 * 86'400) {
  static long serial = 4711;
  const std::unique_ptr<X509, decltype(&X509_free)> certificate(X509_new(), &X509_free);
  auto* x509 = certificate.get();
  X509_set_version(x509, X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(x509), ++serial);
  ASN1_TIME_set(X509_getm_notBefore(x509), start_time - 86'400);
  ASN1_TIME_set(X509_getm_notAfter(x509), not_after);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(x509), "CN", MBSTRING_UTF8,
                             reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
  auto* signer = issuer == nullptr ? x509 : issuer->native();
  X509_set_issuer_name(x509, X509_get_subject_name(signer));
  X509_set_pubkey(x509, key.get());
  X509V3_CTX context;
  X509V3_set_ctx(&context, signer, x509, nullptr, nullptr, 0);
  for (const auto& [type, value] : extensions) {
    auto* extension = X509V3_EXT_nconf_nid(nullptr, &context, OBJ_sn2nid(type.c_str()), value.c_str());
    if (extension == nullptr) throw std::runtime_error("extension " + type);
    X509_add_ext(x509, extension, -1);
    X509_EXTENSION_free(extension);
  }
  if (X509_sign(x509, issuer_key.get(), EVP_sha256()) <= 0) throw std::runtime_error("X509_sign");
  return tokens::Certificate::from_native(x509).value();
}

struct Authority {
  Key key = make_key();
  tokens::Certificate certificate;
  explicit Authority(const std::string& name)
      : certificate(make_certificate(name, key, key, nullptr,
                                     {{"basicConstraints", "critical,CA:TRUE"},
                                      {"keyUsage", "critical,keyCertSign,cRLSign"},
                                      {"subjectKeyIdentifier", "hash"}})) {}
  [[nodiscard]] tokens::Certificate leaf(const std::string& name, const Key& subject, const std::string& san) const {
    return make_certificate(name, subject, key, &certificate,
                            {{"basicConstraints", "critical,CA:FALSE"},
                             {"keyUsage", "critical,digitalSignature"},
                             {"subjectAltName", san}});
  }
};

template <class T>
T run(boost::asio::io_context& context, boost::asio::awaitable<T> task) {
  std::optional<T> out;
  std::exception_ptr failure;
  boost::asio::co_spawn(context, std::move(task), [&](std::exception_ptr error, T value) {
    failure = error;
    if (!error) out.emplace(std::move(value));
  });
  context.restart();
  while (!out && !failure && context.run_one() > 0) {
  }
  if (failure) std::rethrow_exception(failure);
  return std::move(out.value());
}

// Signs with software keys, wraps with AES-256-GCM as the HSM does. `failure` is the answer to everything while it is
// set.
class SoftKeyring final : public keyring::Keyring {
 public:
  SoftKeyring(std::shared_ptr<const keyring::Keys> keys, std::map<std::string, Key> private_keys)
      : keys_(std::move(keys)), private_keys_(std::move(private_keys)) {}

  const keyring::Keys& keys() const override { return *keys_; }
  boost::asio::awaitable<Result<Bytes>> sign(ledger::Slot& slot, const keyring::SigningKey& key, ByteView input,
                                             keyring::Deadline, keyring::Priority) override {
    if (failure) co_return *failure;
    if (key.kind == keyring::KeyKind::ue_ca) {
      constexpr std::int64_t month = 30 * 86'400;
      const auto crl = tokens::check_crl_tbs(input, key.certificate(), now());
      if (!crl) AVSEAL_CO_CHECK(tokens::check_ue_tbs(input, key.certificate(), month));
    }
    ++signatures;
    record(slot, {key.name, key.public_key.thumbprint(), "soft", ++sequence_, {}, "signed"});
    co_return sign_raw(private_keys_.at(key.name), input);
  }
  boost::asio::awaitable<Result<ledger::CheckpointSignature>> sign_checkpoint(const ledger::CheckpointPermit&,
                                                                              const keyring::SigningKey&,
                                                                              std::string_view,
                                                                              keyring::Deadline) override {
    co_return errors::make(Category::internal, "hsm-refused", "not in these tests");
  }
  boost::asio::awaitable<Result<Bytes>> wrap(const Secret& data_key, ByteView aad, keyring::Deadline) override {
    if (failure) co_return *failure;
    co_return crypt(data_key.reveal(), aad, true);
  }
  boost::asio::awaitable<Result<Secret>> unwrap(ByteView wrapped, ByteView aad, keyring::Deadline) override {
    if (failure) co_return *failure;
    auto plain = crypt(wrapped, aad, false);
    if (plain.empty())
      co_return errors::make(Category::internal, "hsm-refused", "the data key is not what was wrapped");
    co_return Secret::copy_of(plain);
  }
  boost::asio::awaitable<std::vector<keyring::KeyStatus>> probe() override {
    co_return std::vector<keyring::KeyStatus>{};
  }
  std::vector<keyring::KeyStatus> status() const override { return {}; }
  boost::asio::awaitable<Result<std::shared_ptr<keyring::Prepared>>> prepare(
      keyring::KeyringConfig, std::shared_ptr<const keyring::Keys>) override {
    co_return errors::make(Category::internal, "key-configuration", "not in these tests");
  }
  boost::asio::awaitable<void> adopt(std::shared_ptr<keyring::Prepared>) override { co_return; }
  Result<void> set_drained(std::string_view, bool) override { return {}; }
  std::vector<keyring::TokenStatus> tokens() const override { return {}; }
  bool has_late_uses() const override { return false; }
  void tell_late_uses(ledger::Slot&) override {}
  void give_up_late() override {}
  void close() override {}

  std::optional<Error> failure;
  int signatures = 0;
  std::function<UnixSeconds()> now = [] { return start_time; };

 private:
  // nonce || ciphertext || tag; empty if it does not open.
  Bytes crypt(ByteView in, ByteView aad, bool seal) const {
    const std::unique_ptr<EVP_CIPHER_CTX, decltype(&EVP_CIPHER_CTX_free)> context(EVP_CIPHER_CTX_new(),
                                                                                  &EVP_CIPHER_CTX_free);
    if (!seal && in.size() < 28) return {};
    const Bytes nonce = seal ? tokens::random_bytes(12) : Bytes(in.begin(), in.begin() + 12);
    const auto body = seal ? in : in.subspan(12, in.size() - 28);
    Bytes tag = seal ? Bytes(16) : Bytes(in.end() - 16, in.end());
    Bytes out(body.size());
    int length = 0;
    EVP_CipherInit_ex(context.get(), EVP_aes_256_gcm(), nullptr, kek_.data(), nonce.data(), seal ? 1 : 0);
    EVP_CipherUpdate(context.get(), nullptr, &length, aad.data(), static_cast<int>(aad.size()));
    EVP_CipherUpdate(context.get(), out.data(), &length, body.data(), static_cast<int>(body.size()));
    if (!seal) EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_GCM_SET_TAG, 16, tag.data());
    std::uint8_t none = 0;
    if (EVP_CipherFinal_ex(context.get(), &none, &length) != 1) return {};
    if (!seal) return out;
    EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_GCM_GET_TAG, 16, tag.data());
    Bytes wrapped = nonce;
    wrapped.insert(wrapped.end(), out.begin(), out.end());
    wrapped.insert(wrapped.end(), tag.begin(), tag.end());
    return wrapped;
  }

  std::shared_ptr<const keyring::Keys> keys_;
  std::map<std::string, Key> private_keys_;
  Bytes kek_ = tokens::random_bytes(32);
  std::uint64_t sequence_ = 0;
};

// A request's body in pieces of one size.
class Pieces final : public http::BodyReader {
 public:
  Pieces(Bytes body, std::size_t piece) : body_(std::move(body)), piece_(piece) {}
  boost::asio::awaitable<Result<Bytes>> read() override {
    const auto length = std::min(piece_, body_.size() - at_);
    Bytes out(body_.begin() + static_cast<std::ptrdiff_t>(at_),
              body_.begin() + static_cast<std::ptrdiff_t>(at_ + length));
    at_ += length;
    co_return out;
  }

 private:
  Bytes body_;
  std::size_t piece_;
  std::size_t at_ = 0;
};

struct SignerConfig {
  std::string name;
  keyring::KeyKind kind;
  Key key;
  tokens::Certificate certificate;
};

// A node without listener: what roles depend on, and a router in front of them.
class Node {
 public:
  Node(const std::vector<SignerConfig>& signers, std::vector<http::ClientEntry> clients)
      : clients_(http::ClientTable::create(std::move(clients)).value()), router(clients_, sink()) {
    std::vector<keyring::KeyConfig> configs;
    std::map<std::string, Key> private_keys;
    for (const auto& signer : signers) {
      keyring::KeyConfig config;
      config.name = signer.name;
      config.kind = signer.kind;
      config.certificate = dir.write(signer.name + ".pem", signer.certificate.pem());
      config.tokens = {"hsm-a"};
      configs.push_back(std::move(config));
      private_keys.emplace(signer.name, signer.key);
    }
    keyring = std::make_unique<SoftKeyring>(keyring::Keys::load(configs, now).value(), std::move(private_keys));
    keyring->now = [this] { return now; };
    store = open_store();
    ledger::Config ledger_config;
    ledger_config.directory = dir.path() / "ledger";
    ledger_config.origin = "test/node";
    ledger_config.reserve_bytes = 0;
    ledger = ledger::Ledger::open(std::move(ledger_config), clock(), metrics).value();
    ledger->use_subject_keys(store->subject_keys());
  }
  ~Node() {
    ledger->close();
    store->close();
  }
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  Clock clock() {
    return [this] { return std::chrono::system_clock::time_point(std::chrono::seconds(now)); };
  }

  void forget_routes() { router = http::Router(clients_, sink()); }

  // The store of this node, again, once it was closed.
  std::shared_ptr<store::Store> open_store() {
    return store::Store::open(dir.path() / "store.sqlite", Secret::copy_of(row_key_), clock(), metrics).value();
  }

  http::Request request(http::Method method, std::string path, const tokens::Certificate* peer) const {
    http::Request out;
    out.method = method;
    out.path = std::move(path);
    if (peer != nullptr) out.peer = *peer;
    out.peer_address = "192.0.2.1";
    out.request_id = "test";
    out.deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    return out;
  }

  http::Response call(http::Request& request) {
    last_refusal.clear();
    const auto route = router.match(request);
    if (!route) {
      const Error error = route.error();
      auto refused = router.refuse(request.route, request, error);
      return run(context, std::move(refused));
    }
    auto answer = router.run(**route, request);
    return run(context, std::move(answer));
  }

  http::Response json(http::Method method, const std::string& path, const tokens::Certificate* peer,
                      const boost::json::value& body, http::Headers extra = {}) {
    auto out = request(method, path, peer);
    out.headers = std::move(extra);
    out.headers.emplace_back("content-type", "application/json");
    out.body = boost::json::serialize(body);
    return call(out);
  }

  // Types and outcomes of the leaves, in order: "avatar.publish released".
  std::vector<boost::json::object> leaves() {
    ledger->close();
    std::vector<boost::json::object> out;
    const auto texts = ledger::read_leaves(dir.path() / "ledger").value();
    for (const auto& leaf : texts) out.push_back(boost::json::parse(leaf).as_object());
    return out;
  }

  UnixSeconds now = start_time;
  TempDir dir;
  boost::asio::io_context context;
  prometheus::Registry metrics;
  std::unique_ptr<SoftKeyring> keyring;
  std::shared_ptr<store::Store> store;
  std::shared_ptr<ledger::Ledger> ledger;
  std::string last_refusal;

 private:
  static boost::asio::awaitable<void> hear(std::string* last, std::string reason) {
    *last = std::move(reason);
    co_return;
  }
  http::RefusalSink sink() {
    return [this](const http::Request&, const http::Route*, const Error& error) {
      return hear(&last_refusal, std::string(error.reason));
    };
  }
  Bytes row_key_ = tokens::random_bytes(32);
  std::shared_ptr<const http::ClientTable> clients_;

 public:
  http::Router router;
};

inline std::string header_of(const http::Response& response, std::string_view name) {
  for (const auto& [key, value] : response.headers)
    if (key == name) return value;
  return {};
}

inline Bytes pattern(std::size_t size, unsigned seed = 1) {
  Bytes out(size);
  std::uint32_t state = seed * 2654435761U + 1;
  for (auto& byte : out) {
    state = state * 1664525U + 1013904223U;
    byte = static_cast<std::uint8_t>(state >> 24);
  }
  return out;
}

}  // namespace avseal::test
