#include "keyring/wrapping.hpp"

#include <algorithm>

#include <openssl/crypto.h>

#include "keyring/errors.hpp"

namespace avseal::keyring {
namespace {

namespace asio = boost::asio;

constexpr std::uint8_t wrapped_form = 1;   // u8 form, u8 length, name of the key, what the worker returned
constexpr std::size_t max_wrapped = 4096;  // bytes

asio::awaitable<Result<Answer>> ask(std::shared_ptr<Pool> pool, tokend::FrameType operation, std::size_t key,
                                    ByteView input, ByteView aad, Deadline deadline, Priority priority) {
  auto& metrics = pool->key(key).metrics;
  metrics.requests->Increment();
  const auto start = std::chrono::steady_clock::now();
  Request request;
  request.operation = operation;
  request.key = key;
  request.input = input;
  request.aad = aad;
  request.deadline = deadline;
  request.priority = priority;
  pool->submit(request);
  if (!request.answer) co_await pool->wait(request);
  if (*request.answer) {
    pool->credit(pool->worker((*request.answer)->worker));
    metrics.answered_since(start);
  } else {
    metrics.failed(request.answer->error().reason);
  }
  co_return std::move(*request.answer);
}

}  // namespace

asio::awaitable<Result<Bytes>> wrap(std::shared_ptr<Pool> pool, std::size_t key, const Secret& data_key, ByteView aad,
                                    Deadline deadline) {
  auto answer = co_await ask(pool, tokend::FrameType::wrap, key, data_key.reveal(), aad, deadline, Priority::batch);
  if (!answer) co_return answer.error();
  const auto& name = pool->key(key).name;
  Bytes wrapped(2 + name.size() + answer->value.size());
  wrapped[0] = wrapped_form;
  wrapped[1] = static_cast<std::uint8_t>(name.size());
  const auto end = std::copy(name.begin(), name.end(), wrapped.begin() + 2);
  std::copy(answer->value.begin(), answer->value.end(), end);
  co_return wrapped;
}

Result<std::string_view> wrapping_key(ByteView wrapped) {
  if (wrapped.size() > max_wrapped) return errors::wrapped_key_malformed("it is longer than 4096 bytes");
  if (wrapped.size() < 2 || wrapped[0] != wrapped_form) {
    return errors::wrapped_key_malformed("it does not begin with form 1");
  }
  const std::size_t name_size = wrapped[1];
  if (wrapped.size() <= 2 + name_size) return errors::wrapped_key_malformed("it is cut short");
  return as_text(wrapped.subspan(2, name_size));
}

asio::awaitable<Result<Secret>> unwrap(std::shared_ptr<Pool> pool, std::size_t key, ByteView wrapped, ByteView aad,
                                       Deadline deadline) {
  const ByteView inner = wrapped.subspan(2 + pool->key(key).name.size());
  auto answer = co_await ask(pool, tokend::FrameType::unwrap, key, inner, aad, deadline, Priority::live);
  if (!answer) co_return answer.error();
  auto secret = Secret::copy_of(answer->value);
  OPENSSL_cleanse(answer->value.data(), answer->value.size());
  co_return secret;
}

}  // namespace avseal::keyring
