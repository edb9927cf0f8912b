#include "enrollment/crl_publisher.hpp"

#include <algorithm>

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <prometheus/family.h>
#include <spdlog/spdlog.h>

#include "tokens/base64.hpp"
#include "tokens/crl.hpp"
#include "tokens/digest.hpp"

namespace avseal::enrollment {
namespace {

using namespace std::chrono_literals;

constexpr std::int64_t lifetime = 2 * 24 * 3600;  // seconds; a new one is made after half of it
constexpr auto sign_limit = 20s;
constexpr auto tick = 1s;
constexpr int ticks_between_looks = 20;
constexpr std::size_t max_entries = 4096;  // more than a CRL that the HSM worker signs can hold

tokens::CrlReason reason_of(store::RevocationCause cause) {
  switch (cause) {
    case store::RevocationCause::device:
      return tokens::CrlReason::cessation_of_operation;
    case store::RevocationCause::batch:
    case store::RevocationCause::model:
    case store::RevocationCause::firmware:
      return tokens::CrlReason::key_compromise;
    default:
      return tokens::CrlReason::unspecified;
  }
}

Result<std::vector<tokens::CrlEntry>> entries_of(const std::vector<store::UeCertificate>& revoked) {
  std::vector<tokens::CrlEntry> out;
  for (const auto& row : revoked) {
    AVSEAL_TRY(auto serial, tokens::hex_decode(row.serial_hex));
    out.push_back({std::move(serial), row.revoked_at, reason_of(row.cause)});
  }
  return out;
}

std::string digest_of(const std::vector<store::UeCertificate>& revoked) {
  std::string text;
  for (const auto& row : revoked) text += row.serial_hex + "\n";
  return tokens::hex_encode(tokens::sha256(as_bytes(text)));
}

prometheus::Gauge& gauge(prometheus::Registry& metrics, const char* name, const char* help) {
  return prometheus::BuildGauge().Name(name).Help(help).Register(metrics).Add({});
}

}  // namespace

std::shared_ptr<const PublishedCrl> CurrentCrl::get() const {
  const std::lock_guard lock(mutex_);
  return crl_;
}

void CurrentCrl::put(PublishedCrl crl) {
  auto next = std::make_shared<const PublishedCrl>(std::move(crl));
  const std::lock_guard lock(mutex_);
  crl_ = std::move(next);
}

boost::asio::awaitable<Result<void>> refresh_crl(CrlDependencies with, CurrentCrl& current) {
  const auto now = to_unix(with.clock());
  AVSEAL_CO_TRY(const auto key, with.keyring.keys().primary(keyring::KeyKind::ue_ca));
  const auto& issuer = key->certificate();
  auto revoked = co_await with.certificates.revoked(now, max_entries);
  if (!revoked) co_return revoked.error();

  PublishedCrl next{{}, issuer.sha256_hex(), digest_of(*revoked), now};
  const auto served = current.get();
  if (served && served->issuer == next.issuer && served->listed == next.listed && served->this_update <= now &&
      now - served->this_update < lifetime / 2) {
    co_return Result<void>{};
  }
  AVSEAL_CO_TRY(auto entries, entries_of(*revoked));
  // From the time, so that numbers rise even if the store is lost.
  auto number = co_await with.versions.next("crl " + next.issuer, now);
  if (!number) co_return number.error();
  const tokens::CrlFields fields{static_cast<std::uint64_t>(*number), now, std::min(now + lifetime, issuer.not_after()),
                                 std::move(entries)};
  AVSEAL_CO_TRY(const auto tbs, tokens::build_crl_tbs(fields, issuer));

  ledger::Event event;
  event.type = "issue.crl";
  event.details = {{"number", *number}, {"entries", fields.entries.size()}, {"next_update", fields.next_update}};
  auto slot = co_await with.ledger.open_slot(std::move(event));
  if (!slot) co_return slot.error();
  const ByteView view = tbs;
  const auto deadline = std::chrono::steady_clock::now() + sign_limit;
  auto signature = co_await with.keyring.sign(*slot, *key, view, deadline, keyring::Priority::batch);
  Result<Bytes> crl = signature ? tokens::assemble_crl(tbs, issuer, *signature) : signature.error();
  auto logged = co_await slot->commit(crl ? ledger::Outcome::released : ledger::Outcome::discarded,
                                      crl ? std::string_view() : crl.error().reason);
  if (!crl) co_return crl.error();
  if (!logged) co_return logged.error();
  next.der = as_text(*crl);
  current.put(std::move(next));
  spdlog::info("event=crl-issued number={} entries={}", *number, fields.entries.size());
  co_return Result<void>{};
}

boost::asio::awaitable<void> publish_crls(CrlDependencies with, CurrentCrl& current, prometheus::Registry& metrics) {
  auto& made = gauge(metrics, "avseal_crl_this_update_seconds", "thisUpdate of the CRL that is served; 0: none yet");
  auto& working = gauge(metrics, "avseal_crl_current", "1 if the last attempt to keep the CRL current worked");
  boost::asio::steady_timer timer(co_await boost::asio::this_coro::executor);
  std::string_view last_failure;
  for (int ticks = 0;; ++ticks) {
    if (current.take_changed() || ticks % ticks_between_looks == 0) {
      auto refreshed = co_await refresh_crl(with, current);
      if (!refreshed) current.changed();
      if (!refreshed && refreshed.error().reason != last_failure) {
        spdlog::error("event=crl-failed reason={} detail=\"{}\"", refreshed.error().reason, refreshed.error().detail);
      }
      last_failure = refreshed ? std::string_view() : refreshed.error().reason;
      working.Set(refreshed ? 1 : 0);
      const auto served = current.get();
      made.Set(served ? static_cast<double>(served->this_update) : 0);
    }
    timer.expires_after(tick);
    co_await timer.async_wait(boost::asio::use_awaitable);
  }
}

}  // namespace avseal::enrollment
