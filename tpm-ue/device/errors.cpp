#include "device/errors.hpp"

#include <fmt/format.h>

namespace avseal::device::errors {

using avseal::errors::make;

Error not_initialised(std::string_view directory) {
  return make(Category::not_found, "device-not-initialised",
              fmt::format("{} holds no UE key yet: run avseal-ue init first", directory));
}

Error directory_unusable(std::string_view directory, std::string_view why) {
  return make(Category::internal, "state-directory-unusable", fmt::format("state directory {}: {}", directory, why));
}

Error file_unusable(std::string_view path, std::string_view why) {
  return make(Category::internal, "state-file-unusable", fmt::format("{}: {}", path, why));
}

Error permissions(std::string_view path) {
  return make(Category::forbidden, "state-permissions",
              fmt::format("{} must belong to the user who runs this program and be closed to everybody else: chmod "
                          "go= {}",
                          path, path));
}

Error busy(std::string_view directory) {
  return make(Category::conflict, "state-busy",
              fmt::format("another process changes {} right now; try again when it has ended", directory));
}

Error state_malformed(std::string_view path, std::string_view why) {
  return make(
      Category::invalid, "state-malformed",
      fmt::format("{}: {}; restore it from a backup, or initialise a new state directory and enroll again", path, why));
}

Error key_mismatch(std::string_view path) {
  return make(
      Category::invalid, "key-file-mismatch",
      fmt::format("{} is not the key that init made and recorded in state.json: restore both from one backup, or "
                  "initialise a new state directory and enroll again",
                  path));
}

Error auth_malformed(std::string_view path) {
  return make(Category::invalid, "auth-malformed",
              fmt::format("{}: expected 32 bytes of which the last is not zero", path));
}

Error no_certificate() {
  return make(Category::not_found, "ue-certificate-missing", "no UE certificate yet: get one with avseal-ue enroll");
}

Error certificate_refused(std::string_view why) {
  return make(Category::invalid, "ue-certificate-refused", fmt::format("UE certificate refused: {}", why));
}

Error not_enrolled() {
  return make(Category::not_found, "device-not-enrolled",
              "this state directory has no attested enrollment to renew: avseal-ue enroll first");
}

Error answer_malformed(std::string_view why) {
  return make(
      Category::invalid, "enrollment-answer-malformed",
      fmt::format("the enrollment role's answer is not what this program understands: {}; are both of one version?",
                  why));
}

Error server_mismatch(std::string_view found, std::string_view expected) {
  return make(
      Category::forbidden, "enrollment-server-mismatch",
      fmt::format(
          "the enrollment role calls itself \"{}\", expected was \"{}\": if that is the operator's, say so with "
          "--server; else somebody passes another operator's challenge on",
          found, expected));
}

Error wrong_order() {
  return make(Category::internal, "enrollment-wrong-order",
              "an enrollment is answered once, then finished once, in this order");
}

Error no_ek_certificate(std::string_view type) {
  return make(
      Category::not_found, "ek-certificate-missing",
      fmt::format(
          "the TPM has no certificate of {} endorsement key in its NV memory: its maker, or the device's maker, "
          "writes one (0x01C0000A P-256, 0x01C00002 RSA-2048, 0x01C00016 P-384)",
          type.empty() ? "any" : fmt::format("a {}", type)));
}

Error ak_mismatch() {
  return make(
      Category::forbidden, "tpm-ak-mismatch",
      "the TPM makes another attestation key than at enrollment: it was replaced, or its endorsement seed was changed; "
      "enroll again");
}

Error lifetime_refused(std::int64_t seconds, std::int64_t most) {
  return make(Category::invalid, "ue-token-lifetime",
              fmt::format("a UE token lives 1 to {} seconds, asked for: {}", most, seconds));
}

}  // namespace avseal::device::errors
