#include "service/key_changes.hpp"

#include <algorithm>
#include <thread>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_future.hpp>
#include <fmt/chrono.h>
#include <fmt/format.h>

#include "http/client.hpp"
#include "keyring/certificate_rules.hpp"
#include "service/node.hpp"
#include "service/operator_change.hpp"

namespace avseal::service {
namespace {

namespace asio = boost::asio;
namespace json = boost::json;
using keyring::KeyKind;

constexpr int probe_attempts = 10;
constexpr std::chrono::milliseconds probe_pause{100};
constexpr std::int64_t for_ever = 100LL * 365 * 24 * 3600;

std::string utc(UnixSeconds t) {
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(t));
}

// What the keyring has of the key; nothing for dac-kek and retired keys.
const keyring::SigningKey* find_key(const keyring::Keys& keys, std::string_view name) {
  for (const auto& key : keys.all()) {
    if (key.name == name) return &key;
  }
  return nullptr;
}

json::object describe(const keyring::KeyConfig& config, const KeyStateRow& state, const keyring::SigningKey* key,
                      std::int64_t overlap) {
  json::object out{{"name", config.name},
                   {"kind", to_string(config.kind)},
                   {"state", to_string(state.state)},
                   {"tokens", json::array(config.tokens.begin(), config.tokens.end())}};
  if (state.since != 0) {
    out["since"] = utc(state.since);
    out["actor"] = state.actor;
    if (state.state == KeyState::verifying && overlap < for_ever) out["retireFrom"] = utc(state.since + overlap);
  }
  if (!state.reason.empty()) out["reason"] = state.reason;
  if (key != nullptr) out["kid"] = key->kid;
  if (key != nullptr && !key->chain.empty()) {
    out["certificate"] = {{"notAfter", utc(key->certificate().not_after())},
                          {"sha256", key->certificate().sha256_hex()},
                          {"subject", key->certificate().subject()}};
  }
  return out;
}

// A DAC on this node takes what this node's authorization role signs.
Result<void> check_taken(const Config& config, const tokens::PublicKey& key) {
  if (!config.dac || !config.authorization) return {};
  const auto& issuers = config.dac->issuers;
  const auto issuer = std::find_if(issuers.begin(), issuers.end(),
                                   [&](const auto& i) { return i.id == config.authorization->instance_id; });
  if (issuer == issuers.end()) return {};
  if (std::find(issuer->keys.begin(), issuer->keys.end(), key) != issuer->keys.end()) return {};
  return errors::make(Category::conflict, "issuer-key-unknown",
                      "the DAC of this node does not take access tokens of this key: add its certificate to the file "
                      "`certificates` of [[dac.issuers]] and reload");
}

}  // namespace

std::int64_t overlap_of(KeyKind kind, const Config& config) {
  switch (kind) {
    case KeyKind::avatar_id: {
      const std::int64_t fresh = config.signing ? config.signing->freshness.count() : 0;
      const auto& granted = config.authorization.value_or(authorization::Config{});
      return std::max(fresh, granted.signed_avatar_id_max_age);
    }
    case KeyKind::avatar_metadata:
      return config.dac.value_or(dac::Config{}).metadata_max_lifetime;
    case KeyKind::access_token:
      return config.authorization.value_or(authorization::Config{}).access_token_lifetime;
    case KeyKind::ue_ca:
      return config.enrollment.value_or(enrollment::Config{}).certificate_lifetime;
    case KeyKind::ledger:
    case KeyKind::dac_kek:
      break;
  }
  return for_ever;
}

template <class T>
Result<T> KeyChanges::wait(asio::awaitable<Result<T>> task) {
  return asio::co_spawn(control_.context(), std::move(task), asio::use_future).get();
}

asio::awaitable<Result<json::object>> KeyChanges::list(const keyring::Keyring& keyring) {
  AVSEAL_CO_TRY(const auto table, co_await states_.all());
  const auto config = reloader_.current();
  const auto& keys = config->keyring.keys;
  const auto states = states_of(keys, table.rows);
  json::array out;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const auto overlap = overlap_of(keys[i].kind, *config);
    out.push_back(describe(keys[i], states[i], find_key(keyring.keys(), keys[i].name), overlap));
  }
  co_return json::object{{"keys", std::move(out)}};
}

asio::awaitable<Result<void>> KeyChanges::put(KeyChange change, ledger::Event event) {
  using Done = ledger::Completion<Result<void>>;
  return ledger::suspend<Result<void>>([this, c = std::move(change), e = std::move(event)](Done done) mutable {
    reloader_.post([this, c = std::move(c), e = std::move(e)] { return apply(c, e); }, std::move(done));
  });
}

Result<void> KeyChanges::apply(KeyChange change, ledger::Event event) {
  const auto config = reloader_.current();
  const auto& keys = config->keyring.keys;
  const auto key = std::find_if(keys.begin(), keys.end(), [&](const auto& k) { return k.name == change.name; });
  if (key != keys.end()) {
    change.overlap = overlap_of(key->kind, *config);
    event.details["kind"] = to_string(key->kind);
  }
  change.now = to_unix(shared_.clock());
  AVSEAL_TRY(const auto table, wait(states_.all()));
  AVSEAL_TRY(const auto rows, transition(keys, table.rows, change));
  const auto after = merged(table.rows, rows);
  if (change.to == KeyState::active && !rows.empty()) {
    AVSEAL_TRY(const auto next, with_states(keys, after));
    AVSEAL_CHECK(check_usable(*config, next, change.name));
  }
  return reloader_.take_keys(after, [&]() -> Result<void> {
    if (rows.empty()) return {};
    return wait(logged_change(*shared_.ledger, *shared_.leaves, std::move(event),
                              [&] { return states_.change(rows, table.revision); }));
  });
}

// Everything that could go wrong with the first signature, tried before it.
Result<void> KeyChanges::check_usable(const Config& config, const std::vector<keyring::KeyConfig>& keys,
                                      const std::string& name) {
  AVSEAL_TRY(const auto loaded, keyring::Keys::load(keys, to_unix(shared_.clock())));
  AVSEAL_CHECK(check_signs(name));
  const auto* key = find_key(*loaded, name);
  if (key == nullptr || key->chain.empty()) return {};
  const auto its = std::find_if(keys.begin(), keys.end(), [&](const auto& k) { return k.name == name; });
  AVSEAL_CHECK(keyring::check_chain(*its, key->chain));
  if (key->kind == KeyKind::access_token) return check_taken(config, key->public_key);
  if (key->kind == KeyKind::avatar_id && config.signing) return check_x5u(*config.signing, key->chain);
  return {};
}

// A test signature by each worker of each token of the key; a worker that is busy or being replaced gets some time.
Result<void> KeyChanges::check_signs(const std::string& name) {
  Node& node = *shared_.nodes.front();
  std::string why;
  for (int attempt = 0; attempt < probe_attempts; ++attempt) {
    if (attempt > 0) std::this_thread::sleep_for(probe_pause);
    const auto statuses = asio::co_spawn(node.context(), node.keyring().probe(), asio::use_future).get();
    const auto probed = std::find_if(statuses.begin(), statuses.end(), [&](const auto& s) { return s.name == name; });
    why = probed == statuses.end() ? "no worker has it" : probed->why_not;
    if (why.empty()) return {};
  }
  return errors::make(Category::conflict, "key-probe-failed",
                      fmt::format("key '{}' gave no test signature on some worker of its tokens: {}", name, why));
}

// As those do who verify what the key will sign.
Result<void> KeyChanges::check_x5u(const signing::Config& config, const std::vector<tokens::Certificate>& chain) {
  http::ClientConfig client;
  client.anchors = config.fetcher.tls_anchors;
  client.timeout = config.fetcher.timeout;
  client.max_body = config.fetcher.max_body;
  const auto url = signing::certificate_url(config, chain.front());
  const auto answer = wait(http::fetch(client, http::Method::get, url));
  if (!answer || answer->status != 200) {
    return errors::make(Category::conflict, "x5u-unreachable",
                        fmt::format("{} cannot be had with the anchors x5u_tls_anchors: {}", url,
                                    answer ? fmt::format("status {}", answer->status) : answer.error().detail));
  }
  const auto served = tokens::Certificate::chain_from_pem(answer->body);
  const bool same = served && std::equal(served->begin(), served->end(), chain.begin(), chain.end(),
                                         [](const auto& a, const auto& b) { return a.der() == b.der(); });
  if (same) return {};
  return errors::make(Category::conflict, "x5u-differs",
                      fmt::format("{} is not the chain of the configured file; reload the node's configuration", url));
}

}  // namespace avseal::service
