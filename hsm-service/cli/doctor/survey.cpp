#include <chrono>
#include <future>
#include <memory>
#include <thread>

#include <fmt/format.h>

#include "cli/doctor/checks.hpp"

namespace avseal::doctor {
namespace {

constexpr int calls = 12;  // of the worker's limit for one call; what is done with a token takes a few of its length

// What a thread works on, and keeps if nobody waits for it any longer.
struct Survey {
  Worker worker;
  Findings findings;
  std::promise<void> done;
};

}  // namespace

bool survey_tokens(Site& site, Findings& findings) {
  bool all_answered = true;
  for (auto& worker : site.workers) {
    const auto name = worker.name;
    const auto patience = calls * worker.config.call_limit;
    const auto survey = std::make_shared<Survey>(Survey{std::move(worker), {}, {}});
    auto done = survey->done.get_future();
    std::thread([survey, running = site.running] {
      survey_token(survey->worker, running, survey->findings);
      if (survey->worker.login) check_keys(survey->worker, survey->findings);
      survey->done.set_value();
    }).detach();
    if (done.wait_for(patience) == std::future_status::ready) {
      worker = std::move(survey->worker);
      findings.append(std::move(survey->findings));
      continue;
    }
    all_answered = false;
    findings.error("module-hung", name, fmt::format("a call of the module did not return in {} ms", patience.count()),
                   "answers, or errors, in time",
                   "see that the HSM is reachable, and what the module's own log says; a worker would be ended now");
  }
  return all_answered;
}

}  // namespace avseal::doctor
