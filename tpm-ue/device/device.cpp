#include "device/device.hpp"

#include "device/errors.hpp"
#include "device/tls_key.hpp"
#include "device/tpm_enrollment.hpp"
#include "tokens/base64.hpp"
#include "tokens/certificate_request.hpp"
#include "tokens/digest.hpp"

namespace avseal::device {

namespace {

class TpmDevice final : public Device {
 public:
  TpmDevice(DeviceConfig config, StateDirectory directory, StateDirectory::Stamp seen, Current current)
      : config_(std::move(config)),
        directory_(std::move(directory)),
        seen_(seen),
        current_(std::make_shared<CurrentHolder>(std::move(current))),
        worker_(tpm::Worker::start(config_.tcti, loader(),
                                   {.on_connect = config_.on_connect, .on_times = config_.on_times})) {}

  [[nodiscard]] tokens::PublicKey public_key() const override { return current()->key; }
  [[nodiscard]] Bytes key_name() const override { return state().ue_key_name; }
  [[nodiscard]] bool srk_persistent() const override { return state().srk_persistent; }
  [[nodiscard]] std::optional<Enrolled> enrolled() const override { return state().enrolled; }

  Result<std::unique_ptr<Enrollment>> enroll(EnrollmentRequest request) override {
    return begin_enrollment(site(), std::move(request));
  }
  Result<std::unique_ptr<Enrollment>> renew() override { return begin_renewal(site()); }

  Result<void> test_attestation() override { return device::test_attestation(site()); }

  Result<tpm::TpmInfo> self_test() override {
    const Bytes probe = tokens::random_bytes(32);
    AVSEAL_CHECK(with_current([&](const Current& current) { return sign(current, probe); }));
    const auto info = std::make_shared<tpm::TpmInfo>();
    AVSEAL_CHECK(worker_->run([info](tpm::Context& context, tpm::LoadedKey&) {
      *info = context.info();
      return Result<Bytes>(Bytes{});
    }));
    return *info;
  }

  Result<std::string> certificate_request(const tokens::Impu& impu) override {
    return with_current([&](const Current& current) -> Result<std::string> {
      AVSEAL_TRY(const Bytes info, tokens::build_request_info(current.key, impu.canonical(), {impu.canonical()}));
      AVSEAL_TRY(const Bytes signature, sign(current, info));
      AVSEAL_TRY(const Bytes request, tokens::assemble_request(info, current.key, signature));
      return tokens::request_pem(request);
    });
  }

  Result<tokens::Certificate> import_certificate(std::string_view pem) override {
    AVSEAL_TRY(auto chain, tokens::Certificate::chain_from_pem(pem));
    std::string kept;
    for (const tokens::Certificate& certificate : chain) kept += certificate.pem();
    AVSEAL_TRY(const Fd lock, directory_.lock());
    const auto before = current();
    AVSEAL_CHECK(check_leaf(chain.front(), before->key, now()));
    AVSEAL_CHECK(directory_.write(files::chain(before->stored->state.generation), as_bytes(kept)));
    current_->set(std::make_shared<const Current>(Current{before->stored, before->key, chain}));
    return chain.front();
  }

  [[nodiscard]] std::optional<tokens::Certificate> certificate() const override {
    const auto now_current = current();
    if (now_current->chain.empty()) return std::nullopt;
    return now_current->chain.front();
  }

  Result<std::string> ue_token(const UeTokenRequest& request) override {
    if (request.lifetime < 1 || request.lifetime > tokens::ue_token_max_lifetime) {
      return errors::lifetime_refused(request.lifetime, tokens::ue_token_max_lifetime);
    }
    return with_current([&](const Current& current) -> Result<std::string> {
      const UnixSeconds issued = now();
      AVSEAL_TRY(const tokens::Certificate leaf, usable_leaf(current, issued));
      AVSEAL_TRY(const tokens::Impu impu, impu_of(leaf));
      const tokens::UeTokenClaims claims{.aud = request.aud,
                                         .app = request.app,
                                         .avatar_id = request.avatar_id,
                                         .iat = issued,
                                         .exp = issued + request.lifetime,
                                         .jti = tokens::base64url_encode(tokens::random_bytes(16)),
                                         .sub = impu};
      AVSEAL_TRY(const std::string input, tokens::build_ue_token(claims, leaf));
      AVSEAL_TRY(const Bytes signature, sign(current, as_bytes(input)));
      return tokens::jws_assemble(input, signature);
    });
  }

  Result<void> authenticate_tls(ssl_ctx_st& context) override {
    const auto now_current = current();
    AVSEAL_CHECK(usable_leaf(*now_current, now()));
    return use_tls_key(context, now_current->chain,
                       [this](const tokens::Sha256& digest) { return sign_digest(digest); });
  }

 private:
  [[nodiscard]] UnixSeconds now() const { return to_unix(config_.clock()); }
  [[nodiscard]] DeviceState state() const { return current()->stored->state; }
  [[nodiscard]] EnrollmentSite site() const {
    return {directory_, config_.credentials, config_.clock, current_, *worker_};
  }

  // What another process made current since is taken over: the certificate before is not good for long any more. A
  // state that cannot be read is left to whoever writes it next.
  [[nodiscard]] std::shared_ptr<const Current> current() const {
    const auto stamp = directory_.stamp(files::state);
    {
      const std::lock_guard guard(mutex_);
      if (stamp == std::exchange(seen_, stamp)) return current_->get();
    }
    const auto on_disk = read_key(directory_, config_.credentials);
    if (on_disk && on_disk->state.ue_key_name != current_->get()->stored->state.ue_key_name &&
        !take_from_disk(site())) {
      const std::lock_guard guard(mutex_);
      seen_ = {};  // once more the next time
    }
    return current_->get();
  }

  // Loads what is current then; called on the worker's thread, which may outlive the device.
  tpm::Loader loader() {
    return [current = current_](tpm::Context& context) { return load(context, *current->get()->stored); };
  }

  // A key that is rolled between the choice of a certificate and the signature costs a second try.
  template <class Use>
  auto with_current(Use use) -> decltype(use(std::declval<const Current&>())) {
    const auto before = current();
    auto result = use(*before);
    const auto after = current_->get();
    if (result || after == before) return result;
    return use(*after);
  }

  static Result<tokens::Certificate> usable_leaf(const Current& current, UnixSeconds now) {
    if (current.chain.empty()) return errors::no_certificate();
    AVSEAL_CHECK(check_leaf(current.chain.front(), current.key, now));
    return current.chain.front();
  }

  // Checked with the public key before it is released.
  Result<Bytes> sign(const Current& current, ByteView message) {
    AVSEAL_TRY(Bytes signature, sign_digest(tokens::sha256(message)));
    AVSEAL_CHECK(current.key.verify(message, signature));
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
  mutable std::mutex mutex_;
  mutable StateDirectory::Stamp seen_;  // under mutex_
  std::shared_ptr<CurrentHolder> current_;
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
    context->shut_down();
    return InitOutcome::created;
  }
  AVSEAL_TRY(const auto device, open(config));
  AVSEAL_CHECK(device->self_test());
  return InitOutcome::existing;
}

Result<std::unique_ptr<Device>> Device::open(DeviceConfig config) {
  AVSEAL_TRY(StateDirectory directory, StateDirectory::open(config.state));
  const auto seen = directory.stamp(files::state);
  AVSEAL_TRY(Current current, read_current(directory, config.credentials));
  return std::unique_ptr<Device>(
      std::make_unique<TpmDevice>(std::move(config), std::move(directory), seen, std::move(current)));
}

}  // namespace avseal::device
