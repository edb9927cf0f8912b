#include "enrollment/issuer.hpp"

#include <algorithm>

#include <prometheus/family.h>

#include "http/event.hpp"
#include "tokens/base64.hpp"
#include "tokens/digest.hpp"

namespace avseal::enrollment {
namespace {

constexpr std::int64_t clock_tolerance = 60;  // seconds that a UE's clock may be behind ours
constexpr std::size_t serial_bytes = 16;

Result<tokens::UeCertificateFields> fields_of(const Wanted& wanted, const tokens::Certificate& issuer,
                                              UnixSeconds now) {
  const auto not_before = std::max(now - clock_tolerance, issuer.not_before());
  const auto not_after = std::min(not_before + wanted.lifetime, issuer.not_after());
  if (not_after <= now)
    return errors::make(Category::unavailable, "certificate-expired",
                        "the UE CA certificate has expired; install a new one");
  return tokens::UeCertificateFields{wanted.key, wanted.impu, wanted.serial, not_before, not_after};
}

}  // namespace

Issuer::Issuer(keyring::Keyring& keyring, ledger::Ledger& ledger, Clock clock, prometheus::Registry& metrics)
    : keyring_(keyring),
      ledger_(ledger),
      clock_(std::move(clock)),
      issued_(prometheus::BuildCounter()
                  .Name("avseal_ue_certificates_total")
                  .Help("UE certificates issued")
                  .Register(metrics)
                  .Add({})) {}

Bytes new_serial() {
  auto serial = tokens::random_bytes(serial_bytes);
  serial.front() = static_cast<std::uint8_t>((serial.front() & 0x7f) | 0x40);
  return serial;
}

boost::asio::awaitable<Error> give_back(store::EnrolmentCodes& codes, store::EnrolmentCode code, Error error) {
  const auto restored = co_await codes.add(std::move(code));
  error.detail += restored ? "; the enrolment code can be used again"
                           : "; the enrolment code is spent, ask the operator for another one";
  co_return error;
}

boost::asio::awaitable<Result<tokens::Certificate>> Issuer::issue(Wanted wanted, const http::Request& request,
                                                                  Keep keep) {
  AVSEAL_CO_TRY(const auto key, keyring_.keys().primary(keyring::KeyKind::ue_ca));
  AVSEAL_CO_TRY(const auto fields, fields_of(wanted, key->certificate(), to_unix(clock_())));
  AVSEAL_CO_TRY(const auto tbs, tokens::build_ue_tbs(fields, key->certificate()));

  wanted.details["serial"] = tokens::hex_encode(fields.serial);
  wanted.details["key"] = wanted.key.thumbprint();
  wanted.details["not_after"] = fields.not_after;
  auto event =
      http::event_of(request, "issue.ue-certificate", {{"sub", wanted.impu.canonical()}}, std::move(wanted.details));
  auto slot = co_await ledger_.open_slot(std::move(event));
  if (!slot) co_return slot.error();
  const ByteView tbs_view = tbs;
  auto signature = co_await keyring_.sign(*slot, *key, tbs_view, request.deadline, keyring::Priority::batch);
  Result<tokens::Certificate> certificate =
      signature ? tokens::assemble_certificate(tbs, key->certificate(), *signature) : signature.error();
  if (certificate) {
    auto kept = co_await keep(*certificate);
    if (!kept) certificate = kept.error();
  }
  if (!certificate) {
    (void)co_await slot->commit(ledger::Outcome::discarded, certificate.error().reason);
    co_return certificate.error();
  }
  auto logged = co_await slot->commit(ledger::Outcome::released);
  if (!logged) co_return logged.error();
  issued_.Increment();
  co_return certificate;
}

Result<boost::json::array> Issuer::chain_of(const tokens::Certificate& certificate) const {
  AVSEAL_TRY(const auto key, keyring_.keys().primary(keyring::KeyKind::ue_ca));
  boost::json::array out{boost::json::string(certificate.pem())};
  for (const auto& above : key->chain) out.emplace_back(above.pem());
  return out;
}

}  // namespace avseal::enrollment
