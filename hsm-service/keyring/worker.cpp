#include "keyring/worker.hpp"

#include <algorithm>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <fmt/format.h>
#include <openssl/crypto.h>
#include <spdlog/spdlog.h>

#include "keyring/errors.hpp"
#include "keyring/pool.hpp"
#include "tokens/base64.hpp"
#include "tokens/digest.hpp"

namespace avseal::keyring {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;

constexpr std::chrono::milliseconds first_reconnect = 10ms;
constexpr std::chrono::milliseconds longest_reconnect = 200ms;
constexpr auto hello_limit = 1s;
constexpr std::chrono::milliseconds shortest_avoidance = 20ms;
constexpr std::chrono::milliseconds longest_avoidance = 1000ms;

}  // namespace

Worker::Worker(Pool& pool, std::size_t index, WorkerAddress address, std::size_t window, asio::any_io_executor executor,
               prometheus::Registry& registry)
    : pool_(pool),
      index_(index),
      address_(std::move(address)),
      socket_(executor),
      timer_(executor),
      metrics_(registry, address_.token, address_.number),
      why_not_(pool.key_count()),
      last_sequence_(pool.key_count()),
      entries_(window) {
  for (std::size_t i = window; i-- > 0;) free_.push_back(static_cast<std::uint16_t>(i));
}

std::string Worker::name() const {
  return fmt::format("{} ({})", address_.token, address_.socket.string());
}

std::string Worker::why_not(std::size_t key) const {
  return ready_ ? why_not_[key] : problem_;
}

WorkerStatus Worker::status() const {
  return {
      address_.socket.string(), instance_ ? *instance_ : std::string(), ready_, outstanding(), recoveries_, problem_};
}

asio::awaitable<void> Worker::run(std::shared_ptr<Pool> keep) {
  auto pause = first_reconnect;
  while (!closed_) {
    auto connected = co_await connect(keep);
    if (connected) {
      pause = first_reconnect;
      const Error why = co_await serve();
      lost(why);
    } else if (!closed_) {
      unreachable(connected.error());
    }
    close_socket();
    if (closed_) break;
    timer_.expires_after(pause);
    co_await timer_.async_wait(asio::as_tuple(asio::use_awaitable));
    pause = std::min(pause * 2, longest_reconnect);
  }
}

void Worker::unreachable(const Error& why) {
  if (problem_ != why.detail) {
    problem_ = why.detail;
    spdlog::warn("HSM worker {} cannot be used: {}", name(), problem_);
  }
  pool_.unreachable(*this, problem_);
}

void Worker::close() {
  closed_ = true;
  const bool was_ready = ready_;
  timer_.cancel();
  close_socket();
  if (was_ready) lost(errors::worker_unusable("closed"));
}

void Worker::close_socket() {
  ++epoch_;
  boost::system::error_code ignored;
  socket_.close(ignored);
}

asio::awaitable<Result<void>> Worker::connect(std::shared_ptr<Pool> keep) {
  const asio::local::stream_protocol::endpoint endpoint(address_.socket.string());
  const auto [ec] = co_await socket_.async_connect(endpoint, asio::as_tuple(asio::use_awaitable));
  if (ec) co_return errors::worker_unusable("connecting failed: " + ec.message());
  timer_.expires_after(hello_limit);
  timer_.async_wait([this, keep, epoch = epoch_](boost::system::error_code timer_ec) {
    if (!timer_ec && epoch == epoch_ && !ready_) close_socket();
  });
  auto hello = co_await exchange_hellos();
  timer_.cancel();
  if (!hello) co_return hello.error();
  if (closed_) co_return errors::worker_unusable("closed");
  accept(std::move(*hello));
  co_return Result<void>{};
}

asio::awaitable<Result<tokend::ServerHello>> Worker::exchange_hellos() {
  reader_.emplace();
  Bytes hello;
  tokend::append_client_hello(hello, {});
  const auto [write_ec, written] =
      co_await asio::async_write(socket_, asio::buffer(hello), asio::as_tuple(asio::use_awaitable));
  if (write_ec) co_return errors::worker_unusable("its connection ended before its hello: " + write_ec.message());
  for (;;) {
    AVSEAL_CO_TRY(const auto body, reader_->next());
    if (body) {
      AVSEAL_CO_TRY(auto answer, tokend::decode_server_hello(*body));
      if (answer.version != tokend::protocol_version) {
        co_return errors::worker_unusable(
            fmt::format("it speaks protocol version {}, expected {}: install the same "
                        "release of avseald and avseal-tokend",
                        answer.version, tokend::protocol_version));
      }
      co_return answer;
    }
    const auto room = reader_->prepare();
    const auto [ec, size] =
        co_await socket_.async_read_some(asio::buffer(room.data(), room.size()), asio::as_tuple(asio::use_awaitable));
    if (ec) co_return errors::worker_unusable("its connection ended before its hello: " + ec.message());
    reader_->commit(size);
  }
}

void Worker::accept(tokend::ServerHello hello) {
  WorkerCounts counts{address_.token, hello.instance, {}};
  for (const auto& key : hello.keys) {
    if (key.sequence > 0) counts.last_sequences.emplace_back(key.name, key.sequence);
  }
  for (std::size_t i = 0; i < why_not_.size(); ++i) {
    const PoolKey& key = pool_.key(i);
    const auto same_name = [&](const tokend::KeyInfo& info) { return info.name == key.name; };
    const auto found = std::find_if(hello.keys.begin(), hello.keys.end(), same_name);
    auto& why = why_not_[i];
    why.clear();
    if (found == hello.keys.end()) {
      why = "it does not have the key";
    } else if (std::count_if(hello.keys.begin(), hello.keys.end(), same_name) > 1) {
      why = "it announces the key twice";
    } else if (found->kind != to_string(key.kind)) {
      why = fmt::format("its key is of kind {}, configured is {}", found->kind, to_string(key.kind));
    } else if (found->spki != key.spki) {
      why =
          "the public key of its key is not the certificate's; configure the certificate that belongs to the key in "
          "the HSM";
    }
    const bool expected = std::find(key.workers.begin(), key.workers.end(), index_) != key.workers.end();
    if (expected && !why.empty()) spdlog::error("HSM worker {}, key '{}': {}", name(), key.name, why);
  }
  std::fill(last_sequence_.begin(), last_sequence_.end(), 0);
  instance_ = std::make_shared<const std::string>(std::move(hello.instance));
  problem_.clear();
  distrusted_ = false;
  avoid_until_ = {};
  avoid_for_ = {};
  recoveries_ = 0;
  ready_ = true;
  metrics_.connections->Increment();
  spdlog::info("HSM worker {} connected, instance {}", name(), *instance_);
  pool_.connected(*this, std::move(hello.token), counts);
}

asio::awaitable<Error> Worker::serve() {
  for (;;) {
    const auto dispatched = dispatch();
    if (!dispatched) co_return dispatched.error();
    pool_.pump();
    const auto room = reader_->prepare();
    const auto [ec, size] =
        co_await socket_.async_read_some(asio::buffer(room.data(), room.size()), asio::as_tuple(asio::use_awaitable));
    if (ec) co_return errors::worker_unusable(ec.message());
    reader_->commit(size);
  }
}

Result<void> Worker::dispatch() {
  for (;;) {
    AVSEAL_TRY(const auto body, reader_->next());
    if (!body) return {};
    AVSEAL_CHECK(take_reply(*body));
  }
}

Result<void> Worker::take_reply(ByteView body) {
  AVSEAL_TRY(auto reply, tokend::decode_reply(body));
  const std::size_t slot = reply.id & 0xffff;
  if (slot >= entries_.size() || entries_[slot].id != reply.id) {
    return errors::worker_unusable("it answered a request that was not asked");
  }
  Entry& entry = entries_[slot];
  Request* request = entry.request;
  const std::size_t key = entry.key;
  const Instant sent = entry.sent;
  std::string digest = std::move(entry.digest);
  release(entry);
  auto& metrics = attempt_metrics(key);
  if (!reply.value) {
    metrics.failed(reply.ckr);
    if (request != nullptr) {
      request->outstanding.remove(index_);
      request->failed.add(index_);
      pool_.failed(*this, *request, reply.value.error());
    }
    return {};
  }
  last_sequence_[key] = std::max(last_sequence_[key], reply.sequence);
  avoid_for_ = {};
  avoid_until_ = {};
  metrics.hsm->Observe(reply.hsm_us * 1e-6);
  if (reply.recoveries != recoveries_) {
    recoveries_ = reply.recoveries;
    metrics_.recoveries->Set(recoveries_);
  }
  if (request != nullptr) {
    metrics.queue->Observe(std::chrono::duration<double>(sent - request->submitted).count() + reply.queue_us * 1e-6);
    request->outstanding.remove(index_);
    pool_.answered(*request, Answer{std::move(*reply.value), reply.sequence, instance_, index_});
    return {};
  }
  OPENSSL_cleanse(reply.value->data(), reply.value->size());
  if (!digest.empty()) {
    pool_.late({pool_.key(key).name, pool_.key(key).kid, *instance_, reply.sequence, std::move(digest), "discarded"});
  }
  return {};
}

Result<void> Worker::send(Request& request, Instant now) {
  const std::uint16_t slot = free_.back();
  const std::uint64_t id = ++uses_ << 16 | slot;
  AVSEAL_CHECK(
      tokend::append_request(queued_, request.operation, id, pool_.key(request.key).name, request.input, request.aad));
  free_.pop_back();
  entries_[slot] = Entry{id, &request, request.key, now, false, {}};
  request.outstanding.add(index_);
  auto& metrics = attempt_metrics(request.key);
  metrics.attempts->Increment();
  metrics.in_flight->Increment();
  schedule_flush();
  return {};
}

void Worker::release(Entry& entry) {
  if (entry.overdue) --overdue_;
  attempt_metrics(entry.key).in_flight->Decrement();
  free_.push_back(static_cast<std::uint16_t>(&entry - entries_.data()));
  entry = Entry{};
}

void Worker::forget(const Request& request) {
  for (auto& entry : entries_) {
    if (entry.request != &request) continue;
    entry.request = nullptr;
    if (request.operation == tokend::FrameType::sign) {
      entry.digest = tokens::base64url_encode(tokens::sha256(request.input));
    }
  }
}

void Worker::sweep(Instant now, std::chrono::milliseconds attempt_limit) {
  std::optional<std::size_t> late;  // the key of one
  for (auto& entry : entries_) {
    if (entry.id == 0) continue;
    if (entry.request != nullptr && now >= entry.request->deadline) pool_.expired(*entry.request);
    if (entry.overdue || now - entry.sent < attempt_limit) continue;
    entry.overdue = true;
    ++overdue_;
    late = entry.key;
    if (entry.request != nullptr) pool_.retry(*entry.request, Discard::late);
  }
  if (late) pool_.was_late(*this, *late);
}

void Worker::give_up_late() {
  const auto late = [](const Entry& entry) {
    return !entry.digest.empty() || (entry.request != nullptr && entry.request->for_slot);
  };
  if (std::any_of(entries_.begin(), entries_.end(), late)) lost(errors::worker_unusable("its answers are late"));
}

AttemptMetrics& Worker::attempt_metrics(std::size_t key) {
  return pool_.token(address_.token_index).keys[key];
}

void Worker::avoid(Instant now) {
  avoid_for_ = std::clamp(avoid_for_ * 2, shortest_avoidance, longest_avoidance);
  avoid_until_ = now + avoid_for_;
}

void Worker::lost(const Error& why) {
  if (!ready_) return;
  ready_ = false;
  close_socket();
  problem_ = why.detail;
  metrics_.connections->Decrement();
  if (!closed_) {
    metrics_.losses->Increment();
    spdlog::warn("HSM worker {} lost with {} requests in flight: {}", name(), outstanding(), problem_);
  }
  WorkerLoss loss{address_.token, address_.socket.string(), *instance_, outstanding(), {}, problem_};
  for (std::size_t i = 0; i < last_sequence_.size(); ++i) {
    if (last_sequence_[i] > 0) loss.last_sequences.emplace_back(pool_.key(i).name, last_sequence_[i]);
  }
  for (Bytes* buffer : {&queued_, &sending_}) {
    OPENSSL_cleanse(buffer->data(), buffer->size());
    buffer->clear();
  }
  writing_ = false;
  for (auto& entry : entries_) {
    if (entry.id == 0) continue;
    Request* request = entry.request;
    release(entry);
    if (request == nullptr) continue;
    request->outstanding.remove(index_);
    pool_.retry(*request, Discard::worker_lost);
  }
  pool_.lost(*this, loss);
}

void Worker::schedule_flush() {
  if (flush_scheduled_ || writing_) return;
  flush_scheduled_ = true;
  asio::post(socket_.get_executor(), [this, keep = pool_.shared_from_this()] {
    flush_scheduled_ = false;
    flush();
  });
}

void Worker::flush() {
  if (!ready_ || writing_ || queued_.empty()) return;
  std::swap(queued_, sending_);
  queued_.clear();
  writing_ = true;
  asio::async_write(socket_, asio::buffer(sending_),
                    [this, keep = pool_.shared_from_this(), epoch = epoch_](boost::system::error_code ec, std::size_t) {
                      if (epoch != epoch_) return;
                      OPENSSL_cleanse(sending_.data(), sending_.size());  // data keys pass through
                      writing_ = false;
                      if (ec) {
                        close_socket();  // serve() ends
                      } else {
                        flush();
                      }
                    });
}

}  // namespace avseal::keyring
