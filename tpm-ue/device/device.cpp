#include "device/device.hpp"

#include "device/errors.hpp"
#include "device/provision.hpp"
#include "device/tls_key.hpp"
#include "tokens/base64.hpp"
#include "tokens/certificate_request.hpp"
#include "tokens/digest.hpp"

namespace avseal::device {

namespace {

constexpr std::size_t chain_max_size = 64 * 1024;

Result<tokens::Impu> impu_of(const tokens::Certificate& leaf) {
  if (leaf.san_uris().size() != 1) {
    return errors::certificate_refused("it must name exactly one IMPU as URI in its subjectAltName");
  }
  return tokens::Impu::parse(leaf.san_uris().front());
}

Result<void> check_leaf(const tokens::Certificate& leaf, const tokens::PublicKey& key, UnixSeconds now) {
  if (!(leaf.public_key() == key)) {
    return errors::certificate_refused("it is for another key than the one in this TPM; was it made from our csr?");
  }
  if (leaf.is_ca()) return errors::certificate_refused("it is a CA certificate; the UE's own comes first in the file");
  if (!leaf.has_ue_eku()) return errors::certificate_refused("it lacks the extended key usage of UE certificates");
  if (!leaf.has_digital_signature()) return errors::certificate_refused("it lacks the key usage digitalSignature");
  AVSEAL_CHECK(impu_of(leaf));
  if (!leaf.valid_at(now)) {
    return avseal::errors::make(Category::invalid, "certificate-expired",
                                "the UE certificate is not valid now: it has expired, or the clock is wrong");
  }
  return {};
}

class TpmDevice final : public Device {
 public:
  TpmDevice(DeviceConfig config, StateDirectory directory, std::shared_ptr<const StoredKey> stored,
            tokens::PublicKey key, std::vector<tokens::Certificate> chain)
      : config_(std::move(config)),
        directory_(std::move(directory)),
        stored_(std::move(stored)),
        key_(std::move(key)),
        chain_(std::move(chain)),
        worker_(tpm::Worker::start(config_.tcti, [stored = stored_, heard = config_.on_connect](tpm::Context& context) {
          heard(context.info());
          return load(context, *stored);
        })) {}

  [[nodiscard]] const tokens::PublicKey& public_key() const override { return key_; }
  [[nodiscard]] const Bytes& key_name() const override { return stored_->state.ue_key_name; }
  [[nodiscard]] bool srk_persistent() const override { return stored_->state.srk_persistent; }

  Result<tpm::TpmInfo> self_test() override {
    const Bytes probe = tokens::random_bytes(32);
    AVSEAL_CHECK(sign(probe));
    const auto info = std::make_shared<tpm::TpmInfo>();
    AVSEAL_CHECK(worker_->run([info](tpm::Context& context, tpm::LoadedKey&) {
      *info = context.info();
      return Result<Bytes>(Bytes{});
    }));
    return *info;
  }

  Result<std::string> certificate_request(const tokens::Impu& impu) override {
    AVSEAL_TRY(const Bytes info, tokens::build_request_info(key_, impu.canonical(), {impu.canonical()}));
    AVSEAL_TRY(const Bytes signature, sign(info));
    AVSEAL_TRY(const Bytes request, tokens::assemble_request(info, key_, signature));
    return tokens::request_pem(request);
  }

  Result<tokens::Certificate> import_certificate(std::string_view pem) override {
    AVSEAL_TRY(auto chain, tokens::Certificate::chain_from_pem(pem));
    AVSEAL_CHECK(check_leaf(chain.front(), key_, now()));
    std::string kept;
    for (const tokens::Certificate& certificate : chain) kept += certificate.pem();
    AVSEAL_TRY(const Fd lock, directory_.lock());
    AVSEAL_CHECK(directory_.write(files::chain, as_bytes(kept)));
    const std::lock_guard guard(mutex_);
    chain_ = std::move(chain);
    return chain_.front();
  }

  [[nodiscard]] std::optional<tokens::Certificate> certificate() const override {
    const std::lock_guard guard(mutex_);
    if (chain_.empty()) return std::nullopt;
    return chain_.front();
  }

  Result<std::string> ue_token(const UeTokenRequest& request) override {
    if (request.lifetime < 1 || request.lifetime > tokens::ue_token_max_lifetime) {
      return errors::lifetime_refused(request.lifetime, tokens::ue_token_max_lifetime);
    }
    const std::optional<tokens::Certificate> leaf = certificate();
    if (!leaf) return errors::no_certificate();
    const UnixSeconds issued = now();
    AVSEAL_CHECK(check_leaf(*leaf, key_, issued));
    AVSEAL_TRY(const tokens::Impu impu, impu_of(*leaf));
    const tokens::UeTokenClaims claims{.aud = request.aud,
                                       .app = request.app,
                                       .avatar_id = request.avatar_id,
                                       .iat = issued,
                                       .exp = issued + request.lifetime,
                                       .jti = tokens::base64url_encode(tokens::random_bytes(16)),
                                       .sub = impu};
    AVSEAL_TRY(const std::string input, tokens::build_ue_token(claims, *leaf));
    AVSEAL_TRY(const Bytes signature, sign(as_bytes(input)));
    return tokens::jws_assemble(input, signature);
  }

  Result<void> authenticate_tls(ssl_ctx_st& context) override {
    std::vector<tokens::Certificate> chain;
    {
      const std::lock_guard guard(mutex_);
      chain = chain_;
    }
    if (chain.empty()) return errors::no_certificate();
    AVSEAL_CHECK(check_leaf(chain.front(), key_, now()));
    return use_tls_key(context, chain, [this](const tokens::Sha256& digest) { return sign_digest(digest); });
  }

 private:
  [[nodiscard]] UnixSeconds now() const { return to_unix(config_.clock()); }

  // Checked with the public key before it is released.
  Result<Bytes> sign(ByteView message) {
    AVSEAL_TRY(Bytes signature, sign_digest(tokens::sha256(message)));
    AVSEAL_CHECK(key_.verify(message, signature));
    return signature;
  }

  // The digest is copied into the job, which may outlive a wait.
  Result<Bytes> sign_digest(const tokens::Sha256& digest) {
    return worker_->run([digest](tpm::Context& context, tpm::LoadedKey& loaded) {
      return tpm::sign_digest(context, loaded.key, loaded.session, digest);
    });
  }

  DeviceConfig config_;
  StateDirectory directory_;
  std::shared_ptr<const StoredKey> stored_;
  tokens::PublicKey key_;
  mutable std::mutex mutex_;
  std::vector<tokens::Certificate> chain_;  // under mutex_; empty before import
  std::unique_ptr<tpm::Worker> worker_;
};

}  // namespace

Result<InitOutcome> Device::init(const DeviceConfig& config) {
  AVSEAL_TRY(const StateDirectory directory, StateDirectory::create(config.state));
  AVSEAL_TRY(const Fd lock, directory.lock());
  if (!directory.has(files::state)) {
    AVSEAL_TRY(const auto context, tpm::Context::open(config.tcti));
    config.on_connect(context->info());
    AVSEAL_CHECK(provision(*context, directory, config.credentials));
    return InitOutcome::created;
  }
  AVSEAL_TRY(const auto device, open(config));
  AVSEAL_CHECK(device->self_test());
  return InitOutcome::existing;
}

Result<std::unique_ptr<Device>> Device::open(DeviceConfig config) {
  AVSEAL_TRY(StateDirectory directory, StateDirectory::open(config.state));
  AVSEAL_TRY(StoredKey stored, read_key(directory, config.credentials));
  AVSEAL_TRY(tokens::PublicKey key, tpm::public_key_of(stored.blob.public_area));
  std::vector<tokens::Certificate> chain;
  if (directory.has(files::chain)) {
    AVSEAL_TRY(const Bytes pem, directory.read(files::chain, chain_max_size));
    AVSEAL_TRY(chain, tokens::Certificate::chain_from_pem(as_text(pem)));
  }
  return std::unique_ptr<Device>(std::make_unique<TpmDevice>(std::move(config), std::move(directory),
                                                             std::make_shared<const StoredKey>(std::move(stored)),
                                                             std::move(key), std::move(chain)));
}

}  // namespace avseal::device
