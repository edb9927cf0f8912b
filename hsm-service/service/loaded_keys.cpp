#include "service/loaded_keys.hpp"

#include <algorithm>

namespace avseal::service {

ledger::Event keys_loaded(const Config& config, const std::vector<KeyStateRow>& rows, const keyring::Keys& keys) {
  const auto& configured = config.keyring.keys;
  const auto states = states_of(configured, rows);
  boost::json::array loaded;
  for (const auto& key : keys.all()) {
    const auto its =
        std::find_if(configured.begin(), configured.end(), [&](const auto& k) { return k.name == key.name; });
    if (its == configured.end()) continue;
    const auto& row = states[static_cast<std::size_t>(its - configured.begin())];
    loaded.push_back(boost::json::object{
        {"key", key.name}, {"kid", key.kid}, {"kind", to_string(key.kind)}, {"state", to_string(row.state)}});
  }
  const std::uint64_t limit = std::uint64_t{config.threads} * config.keyring.window + config.ledger.max_pending;
  ledger::Event event;
  event.type = "keys.loaded";
  event.details = {{"keys", std::move(loaded)}, {"unlogged_limit", limit}};
  return event;
}

}  // namespace avseal::service
