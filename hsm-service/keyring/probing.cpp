#include "keyring/probing.hpp"

namespace avseal::keyring {

namespace asio = boost::asio;

asio::awaitable<std::vector<KeyStatus>> probe_all(std::shared_ptr<Pool> pool) {
  std::vector<KeyStatus> all;
  for (std::size_t i = 0; i < pool->key_count(); ++i) {
    const auto workers = pool->key(i).workers;
    KeyStatus status{pool->key(i).name, pool->key(i).kind, false, {}};
    for (const auto worker : workers) {
      std::string why = pool->worker(worker).why_not(i);
      if (why.empty()) {
        Request request;
        request.operation = tokend::FrameType::probe;
        request.key = i;
        request.only = worker;
        request.deadline = std::chrono::steady_clock::now() + pool->attempt_limit();
        pool->submit(request);
        if (!request.answer) co_await pool->wait(request);
        if (!*request.answer) why = request.answer->error().detail;
      }
      status.can_sign = status.can_sign || why.empty();
      if (!why.empty()) {
        if (!status.why_not.empty()) status.why_not += "; ";
        status.why_not += "worker " + pool->worker(worker).name() + ": " + why;
      }
    }
    if (workers.empty()) status.why_not = "no token with a worker holds it";
    all.push_back(std::move(status));
  }
  co_return all;
}

}  // namespace avseal::keyring
