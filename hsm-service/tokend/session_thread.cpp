#include "tokend/session_thread.hpp"

#include <bit>

#include <fmt/format.h>

#include "pkcs11/errors.hpp"

namespace avseal::tokend {

namespace {

// A session that failed so often in a row is replaced: it may be the session, not the HSM.
constexpr std::uint32_t suspect_failures = 4;

}  // namespace

std::optional<HsmSession> SessionThread::take_session() {
  if (session_) open_sessions_.fetch_sub(1);
  return std::exchange(session_, std::nullopt);
}

Result<void> SessionThread::open() {
  if (session_ && session_->generation() == hsm_.generation()) return {};
  AVSEAL_TRY(HsmSession fresh, recovery_.renew(index_, take_session()));
  session_ = std::move(fresh);
  failures_ = 0;
  open_sessions_.fetch_add(1);
  return {};
}

Result<Bytes> SessionThread::execute(const Job& job) {
  auto value = attempt(job);
  if (value) {
    failures_ = 0;
    recovery_.succeeded();
    return value;
  }
  Remedy remedy = judge(job, value.error());
  if (remedy == Remedy::new_session) {
    AVSEAL_TRY(HsmSession fresh, recovery_.renew(index_, take_session()));
    session_ = std::move(fresh);
    open_sessions_.fetch_add(1);
    value = attempt(job);
    if (value) {
      recovery_.succeeded();
      return value;
    }
    remedy = judge(job, value.error());
    if (remedy == Remedy::new_session) take_session();
  }
  if (remedy == Remedy::new_process) recovery_.leave(value.error());
  if (remedy == Remedy::count || remedy == Remedy::new_session) count_failure(value.error());
  return value;
}

Result<Bytes> SessionThread::attempt(const Job& job) {
  AVSEAL_CHECK(open());
  const Watchdog::Call watched(watchdog_, index_);
  return call(job);
}

Result<Bytes> SessionThread::call(const Job& job) {
  switch (job.request.operation) {
    case FrameType::sign:
      return session_->sign(job.key, job.request.input);
    case FrameType::wrap:
      return session_->wrap(job.key, job.request.input, job.request.aad);
    case FrameType::unwrap:
      return session_->unwrap(job.key, job.request.input, job.request.aad);
    default:
      AVSEAL_CHECK(session_->probe(job.key));
      return Bytes{};
  }
}

Remedy SessionThread::judge(const Job& job, const Error& error) {
  const Remedy remedy = remedy_of(error, hsm_.config().quirks);
  if (remedy == Remedy::none) return remedy;
  const std::string& key = hsm_.keys()[job.key].config.name;
  const std::string ckr(pkcs11::ckr_name(pkcs11::ckr_of(error)));
  const std::string_view event = remedy == Remedy::new_session ? "session-lost"
                                 : remedy == Remedy::wait      ? "hsm-busy"
                                                               : "hsm-error";
  recovery_.log().warn(
      fmt::format("{} {} {}", event, key, ckr),
      fmt::format("event={} key={} ckr={} reason={} detail=\"{}\"", event, key, ckr, error.reason, error.detail));
  return remedy;
}

void SessionThread::count_failure(const Error& error) {
  ++failures_;
  recovery_.failed(error);
  if (failures_ >= suspect_failures && std::has_single_bit(failures_)) take_session();
}

void SessionThread::keep_alive() {
  Job probe;
  probe.key = kept_alive_++ % hsm_.keys().size();
  probe.request.operation = FrameType::probe;
  const auto done = execute(probe);
  if (done) return;
  recovery_.log().warn("keep-alive",
                       fmt::format("event=keep-alive-failed key={} reason={} detail=\"{}\"",
                                   hsm_.keys()[probe.key].config.name, done.error().reason, done.error().detail));
}

}  // namespace avseal::tokend
