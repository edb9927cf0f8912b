// Each key as an auditor asks for it, and whether it works.
#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "cli/doctor/checks.hpp"
#include "pkcs11/errors.hpp"
#include "pkcs11/signing.hpp"
#include "pkcs11/wrapping.hpp"
#include "tokens/digest.hpp"

namespace avseal::doctor {
namespace {

using pkcs11::KeyDescription;

constexpr std::string_view associated = "avseal-probe-v1";  // of a data key that is wrapped to try the key

constexpr const char* make_another =
    "make another key with `avseal key generate`, certify it and let it take over; then destroy this one";

bool has(const KeyDescription& key, std::string_view use) {
  return std::find(key.usage.begin(), key.usage.end(), use) != key.usage.end();
}

// A key that others can read is none; one that once could be read may have copies.
void check_attributes(const KeyDescription& key, const std::string& subject, Findings& findings) {
  const auto before = findings.all().size();
  if (key.sensitive == false) {
    findings.error("key-not-sensitive", subject, "CKA_SENSITIVE is false: whoever has the PIN can read the key",
                   "CKA_SENSITIVE true", make_another);
  }
  if (key.extractable == true) {
    findings.error("key-extractable", subject, "CKA_EXTRACTABLE is true: the key can be wrapped and taken away",
                   "CKA_EXTRACTABLE false", make_another);
  }
  if (key.always_sensitive == false && key.sensitive != false) {
    findings.warning("key-was-readable", subject, "CKA_ALWAYS_SENSITIVE is false: the key was readable once",
                     "CKA_ALWAYS_SENSITIVE true", std::string("if no ceremony explains it, ") + make_another);
  }
  if (key.never_extractable == false && key.extractable != true) {
    findings.warning("key-was-extractable", subject, "CKA_NEVER_EXTRACTABLE is false: the key could be taken away once",
                     "CKA_NEVER_EXTRACTABLE true", std::string("if no ceremony explains it, ") + make_another);
  }
  if (key.local == false) {
    findings.warning("key-imported", subject, "CKA_LOCAL is false: the key was made elsewhere", "CKA_LOCAL true",
                     std::string("if no ceremony explains it, ") + make_another);
  }
  const bool untold =
      !key.sensitive || !key.extractable || !key.always_sensitive || !key.never_extractable || !key.local;
  if (untold) {
    findings.note("key-attribute-untold", subject, "the module does not tell every attribute",
                  "show the auditor what the HSM's own tools say of this key");
  }
  if (findings.all().size() == before) {
    findings.ok("key-attributes", subject, "sensitive, never extractable, made on the token");
  }
}

void check_usage(const KeyDescription& key, pkcs11::KeyKind kind, const std::string& subject, Findings& findings) {
  const std::vector<std::string_view> needed =
      pkcs11::signs(kind) ? std::vector<std::string_view>{"sign"} : std::vector<std::string_view>{"encrypt", "decrypt"};
  const std::vector<std::string_view> allowed =
      pkcs11::signs(kind) ? needed : std::vector<std::string_view>{"encrypt", "decrypt", "wrap", "unwrap"};
  std::vector<std::string> more;
  for (const auto& use : key.usage) {
    if (std::find(allowed.begin(), allowed.end(), use) == allowed.end()) more.push_back(use);
  }
  const bool enough = std::all_of(needed.begin(), needed.end(), [&](auto use) { return has(key, use); }) ||
                      (!pkcs11::signs(kind) && has(key, "wrap") && has(key, "unwrap"));
  const auto expected = fmt::format("{} and nothing else", fmt::join(needed, ", "));
  if (!enough) {
    findings.error("key-usage-missing", subject, fmt::format("it may {}", fmt::join(key.usage, ", ")), expected,
                   make_another);
  } else if (!more.empty()) {
    findings.warning("key-usage-wide", subject, fmt::format("it may also {}", fmt::join(more, ", ")), expected,
                     "take those uses away with the HSM's tools, or let another key take over");
  } else {
    findings.ok("key-usage", subject, fmt::format("{}", fmt::join(key.usage, ", ")));
  }
}

void check_type(const KeyDescription& key, pkcs11::KeyKind kind, const std::string& subject, Findings& findings) {
  const bool fits = pkcs11::signs(kind) ? key.public_key.has_value() : key.type == "AES-256";
  if (fits) {
    findings.ok("key-type", subject, key.type);
  } else {
    findings.error("key-type", subject, key.type, pkcs11::signs(kind) ? "EC P-256 or P-384" : "AES-256", make_another);
  }
}

// A signature over bytes that are no object of ours, verified and dropped; or a data key wrapped and unwrapped.
Result<void> try_key(pkcs11::Session& session, const KeyDescription& key, pkcs11::Ecdsa form) {
  if (key.public_key) {
    AVSEAL_CHECK(pkcs11::find_sign_mechanism(session, key.handle, *key.public_key, form));
    return {};
  }
  const auto random = tokens::random_bytes(32);
  AVSEAL_TRY(const auto wrap_form, pkcs11::choose_wrap_form(session, key.handle));
  AVSEAL_TRY(const Bytes wrapped, pkcs11::wrap(session, key.handle, wrap_form, random, as_bytes(associated)));
  AVSEAL_TRY(const Secret back, pkcs11::unwrap(session, key.handle, wrapped, as_bytes(associated)));
  if (back.equals(random)) return {};
  return pkcs11::errors::key_unsuitable(key.label, "it does not unwrap what it wrapped");
}

}  // namespace

void check_keys(Worker& worker, Findings& findings) {
  for (const auto& config : worker.config.keys) {
    const auto found = worker.keys.find(config.name);
    if (found == worker.keys.end()) continue;
    const auto subject = worker.name + "/" + config.name;
    check_type(found->second, config.kind, subject, findings);
    check_attributes(found->second, subject, findings);
    check_usage(found->second, config.kind, subject, findings);
    const auto works = try_key(*worker.login, found->second, worker.config.quirks.ecdsa);
    if (works) {
      findings.ok("key-test", subject, pkcs11::signs(config.kind) ? "signs, verifies" : "wraps, unwraps");
    } else {
      findings.error("key-test-failed", subject, works.error().detail,
                     "a test signature that verifies, or a data key that is unwrapped again",
                     "see `avseal key list` and what the module's own log says");
    }
  }
}

}  // namespace avseal::doctor
