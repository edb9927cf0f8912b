// One logical key, wherever it is.
#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "cli/doctor/checks.hpp"
#include "cli/object_input.hpp"
#include "pkcs11/wrapping.hpp"
#include "tokens/digest.hpp"

namespace avseal::doctor {
namespace {

struct Place {
  Worker* worker;
  const pkcs11::KeyDescription* key;
};

std::vector<Place> places_of(Site& site, const std::string& name) {
  std::vector<Place> places;
  for (auto& worker : site.workers) {
    const auto found = worker.keys.find(name);
    if (found != worker.keys.end()) places.push_back({&worker, &found->second});
  }
  return places;
}

// Secret keys have no public half to compare: one unwraps what the other wrapped.
bool same_secret(const Place& one, const Place& other) {
  const auto random = tokens::random_bytes(32);
  const auto aad = as_bytes("avseal-probe-v1");
  const auto form = pkcs11::choose_wrap_form(*one.worker->login, one.key->handle);
  if (!form) return false;
  const auto wrapped = pkcs11::wrap(*one.worker->login, one.key->handle, *form, random, aad);
  if (!wrapped) return false;
  const auto back = pkcs11::unwrap(*other.worker->login, other.key->handle, *wrapped, aad);
  return back && back->equals(random);
}

bool same(const Place& one, const Place& other) {
  if (one.key->public_key && other.key->public_key) return *one.key->public_key == *other.key->public_key;
  return !one.key->public_key && !other.key->public_key && same_secret(one, other);
}

void compare(const std::string& name, const std::vector<Place>& places, Findings& findings) {
  for (std::size_t i = 1; i < places.size(); ++i) {
    const auto subject = fmt::format("{}/{}", places[i].worker->name, name);
    if (same(places.front(), places[i])) {
      findings.ok("replica", subject, "the same key as on " + places.front().worker->name);
    } else {
      findings.error("replica-differs", subject, "another key than on " + places.front().worker->name,
                     "the same key on every token that holds it",
                     "clone the key with the HSM's own protocol, or take the token out of the key's `tokens`");
    }
  }
}

std::optional<tokens::PublicKey> certified_key(const keyring::KeyConfig& key) {
  const auto text = cli::read_file(key.certificate.string());
  if (!text) return std::nullopt;
  auto certificate = tokens::Certificate::from_pem(*text);
  if (certificate) return certificate->public_key();
  auto bare = tokens::PublicKey::from_pem(*text);
  if (bare) return std::move(*bare);
  return std::nullopt;
}

void compare_with_certificate(const keyring::KeyConfig& key, const std::vector<Place>& places, Findings& findings) {
  const auto certified = certified_key(key);
  if (!certified) return;
  for (const auto& place : places) {
    const auto subject = fmt::format("{}/{}", place.worker->name, key.name);
    if (place.key->public_key && *place.key->public_key == *certified) {
      findings.ok("certificate-key", subject, "the key of " + key.certificate.string());
    } else {
      findings.error(
          "certificate-key-mismatch", subject, "another key than that of " + key.certificate.string(),
          "the certificate of this key",
          "configure the certificate that was issued for it; `avseal key csr` makes a request for a new one");
    }
  }
}

// What [[keys]] of avseald.toml says of where a key is, against what was found there.
void check_configured(const Site& site, const keyring::KeyConfig& key, Findings& findings) {
  for (const auto& token : key.tokens) {
    for (const auto& worker : site.workers) {
      const auto& keys = worker.config.keys;
      const auto has_name = [&](const tokend::KeyConfig& one) { return one.name == key.name; };
      if (worker.name != token || std::any_of(keys.begin(), keys.end(), has_name)) continue;
      findings.error("key-not-offered", token + "/" + key.name, worker.file.string() + " does not name this key",
                     "a worker that offers it, as `tokens` of the key in avseald.toml says",
                     "add the key to the worker's configuration, or take the token out of `tokens`");
    }
  }
}

}  // namespace

void check_replicas(Site& site, Findings& findings) {
  std::set<std::string> names;
  for (const auto& worker : site.workers) {
    for (const auto& [name, key] : worker.keys) names.insert(name);
  }
  for (const auto& name : names) compare(name, places_of(site, name), findings);
  if (!site.config) return;
  for (const auto& key : site.config->keyring.keys) {
    check_configured(site, key, findings);
    if (!key.certificate.empty()) compare_with_certificate(key, places_of(site, key.name), findings);
  }
  const auto& tokens = site.config->keyring.tokens;
  for (const auto& token : tokens) {
    if (token.sockets.empty() || site.workers.size() > site.config->spawn.size()) continue;
    findings.warning("token-not-examined", token.name, "its workers are units of their own",
                     "their configuration, to look at the token and its keys", "add --worker FILE for each of them");
  }
}

}  // namespace avseal::doctor
