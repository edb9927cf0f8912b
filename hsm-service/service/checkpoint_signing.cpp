#include "service/checkpoint_signing.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_future.hpp>

namespace avseal::service {
namespace {

using namespace std::chrono_literals;
using Signatures = std::vector<ledger::CheckpointSignature>;

constexpr auto primary_limit = 2s;
constexpr auto cosigner_limit = 250ms;  // of a key whose overlap ends: its token may be gone

boost::asio::awaitable<Result<Signatures>> sign_with_all(keyring::Keyring& keyring,
                                                         const ledger::CheckpointPermit& permit,
                                                         const std::string& text) {
  const auto keys = keyring.keys().shared_from_this();  // a reload may replace them meanwhile
  AVSEAL_CO_TRY(const auto primary, keys->primary(keyring::KeyKind::ledger));
  Signatures signatures;
  const auto now = std::chrono::steady_clock::now();
  AVSEAL_CO_TRY(auto first, co_await keyring.sign_checkpoint(permit, *primary, text, now + primary_limit));
  signatures.push_back(std::move(first));
  for (const auto& key : keys->all()) {
    if (!key.cosigns) continue;
    const auto deadline = std::chrono::steady_clock::now() + cosigner_limit;
    auto more = co_await keyring.sign_checkpoint(permit, key, text, deadline);
    if (more) signatures.push_back(std::move(*more));
  }
  co_return signatures;
}

}  // namespace

Result<Signatures> CheckpointSigning::sign(const ledger::CheckpointPermit& permit, const std::string& text) {
  return boost::asio::co_spawn(node_.context(), sign_with_all(node_.keyring(), permit, text), boost::asio::use_future)
      .get();
}

}  // namespace avseal::service
