#include "keyring/errors.hpp"

#include <fmt/format.h>

namespace avseal::keyring::errors {

using avseal::errors::make;

Error key_kind_unknown(std::string_view text) {
  return make(
      Category::invalid, "key-kind-unknown",
      fmt::format(
          "'{}' is no kind of key; kinds are avatar-id, avatar-metadata, access-token, ue-ca, ledger and dac-kek",
          text));
}

Error key_configuration(std::string detail) {
  return make(Category::invalid, "key-configuration", std::move(detail));
}

Error key_not_configured(std::string_view kind) {
  return make(Category::unavailable, "key-not-configured",
              fmt::format("no key of kind {} is configured on this node", kind));
}

Error certificate_unreadable(const std::filesystem::path& file, std::string_view why) {
  return make(Category::invalid, "certificate-unreadable", fmt::format("certificate file {}: {}", file.string(), why));
}

Error certificate_malformed(const std::filesystem::path& file, const Error& cause) {
  return make(Category::invalid, "certificate-malformed",
              fmt::format("certificate file {}: {}", file.string(), cause.detail));
}

Error certificate_expired(std::string_view key, const std::filesystem::path& file, std::string_view when) {
  return make(Category::invalid, "certificate-expired",
              fmt::format("the certificate of key '{}' in {} expired at {}; renew it", key, file.string(), when));
}

Error certificate_not_yet_valid(std::string_view key, const std::filesystem::path& file, std::string_view when) {
  return make(Category::invalid, "certificate-not-yet-valid",
              fmt::format("the certificate of key '{}' in {} is valid from {}; check it and this machine's clock", key,
                          file.string(), when));
}

Error certificate_unsuitable(std::string_view key, const std::filesystem::path& file, std::string_view why) {
  return make(Category::invalid, "certificate-unsuitable",
              fmt::format("the certificate of key '{}' in {}: {}", key, file.string(), why));
}

Error certificate_chain_order(std::string_view key, const std::filesystem::path& file, std::size_t position,
                              std::string_view wanted, std::string_view found) {
  return make(Category::invalid, "certificate-chain-order",
              fmt::format("the chain of key '{}' in {}: certificate {} should be the one that issued the one before, "
                          "\"{}\", it is \"{}\"; put them in order, leaf first",
                          key, file.string(), position, wanted, found));
}

Error unavailable(std::string_view key, std::string_view why) {
  auto error = make(Category::unavailable, "hsm-unavailable", fmt::format("key '{}': {}", key, why));
  error.retry_after = std::chrono::seconds{1};
  return error;
}

Error busy(std::string_view key, std::chrono::seconds retry_after) {
  auto error = make(Category::unavailable, "hsm-busy",
                    fmt::format("key '{}': the workers' windows and the queue behind them are full", key));
  error.retry_after = retry_after;
  return error;
}

Error too_late(std::string_view key, std::chrono::seconds retry_after) {
  auto error = make(Category::unavailable, "hsm-busy",
                    fmt::format("key '{}': what waits already takes longer than this request's deadline allows", key));
  error.retry_after = retry_after;
  return error;
}

Error refused(std::string_view key, std::string_view why) {
  return make(Category::internal, "hsm-refused", fmt::format("the HSM worker refused to use key '{}': {}", key, why));
}

Error bad_signature(std::string_view key) {
  auto error =
      make(Category::unavailable, "hsm-bad-signature",
           fmt::format("key '{}': the HSM gave signatures that its certificate's public key does not verify", key));
  error.retry_after = std::chrono::seconds{1};
  return error;
}

Error deadline(std::string_view key) {
  auto error = make(Category::timeout, "deadline",
                    fmt::format("key '{}': the HSM did not answer within the request's deadline", key));
  error.retry_after = std::chrono::seconds{1};
  return error;
}

Error wrapped_key_malformed(std::string_view why) {
  return make(Category::invalid, "wrapped-key-malformed", fmt::format("a wrapped data key: {}", why));
}

Error token_unknown(std::string_view token) {
  return make(Category::not_found, "token-unknown", fmt::format("no token named '{}' is configured", token));
}

Error token_last_replica(std::string_view token, std::string_view key) {
  return make(Category::conflict, "token-last-replica",
              fmt::format("without token '{}' no worker could use key '{}'; first bring another token that holds it "
                          "into use",
                          token, key));
}

Error worker_unusable(std::string why) {
  return make(Category::unavailable, "worker-unusable", std::move(why));
}

Error workers_start(std::string_view why) {
  return make(Category::unavailable, "workers-start", fmt::format("an HSM worker did not start: {}", why));
}

}  // namespace avseal::keyring::errors
