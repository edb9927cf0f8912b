#include "cli/act.hpp"

#include <memory>
#include <optional>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <fmt/format.h>

#include "ledger/ledger.hpp"
#include "tokens/digest.hpp"
#include "tokens/json.hpp"

namespace avseal::cli {
namespace {

using ledger::Act;
using ledger::Outcome;

class Journal {
 public:
  virtual ~Journal() = default;
  virtual Result<void> begin(Act& act) = 0;  // sets its id
  virtual Result<void> end(const Act& act, const Result<boost::json::object>& outcome) = 0;
};

// In the ledger of a running node, which knows us by our client certificate.
class NodeJournal final : public Journal {
 public:
  explicit NodeJournal(const OperatorClient& node) : node_(node) {}

  Result<void> begin(Act& act) override {
    const boost::json::object body{{"act", act.name}, {"object", act.object}, {"terminal", act.terminal}};
    AVSEAL_TRY(const auto answer, node_.call(http::Method::post, "/operations/v1/acts", boost::json::serialize(body)));
    const auto document = tokens::parse_json(answer.body);
    const auto* id = document && document->is_object() ? document->get_object().if_contains("id") : nullptr;
    if (id == nullptr || !id->is_string()) {
      return errors::make(Category::internal, "answer-unusable", "the node did not say the act's id");
    }
    act.id = std::string(id->get_string());
    return {};
  }
  Result<void> end(const Act& act, const Result<boost::json::object>& outcome) override {
    boost::json::object body{{"act", act.name}, {"object", act.object}, {"terminal", act.terminal}};
    body["outcome"] = outcome ? "done" : "failed";
    if (outcome) body["result"] = *outcome;
    if (!outcome) body["reason"] = outcome.error().reason;
    AVSEAL_CHECK(node_.call(http::Method::put, "/operations/v1/acts/" + act.id, boost::json::serialize(body)));
    return {};
  }

 private:
  const OperatorClient& node_;
};

boost::asio::awaitable<Result<void>> append(ledger::Ledger& log, ledger::Event event, Outcome outcome,
                                            std::string_view reason) {
  auto slot = co_await log.open_slot(std::move(event));
  if (!slot) co_return slot.error();
  auto index = co_await slot->commit(outcome, reason);
  if (!index) co_return index.error();
  co_return Result<void>{};
}

// In a ledger that this process opens itself.
class OwnJournal final : public Journal {
 public:
  static Result<std::unique_ptr<Journal>> open(const ActOptions& options) {
    ledger::Config config;
    config.directory = options.ledger;
    config.origin = options.origin;
    auto journal = std::make_unique<OwnJournal>();
    auto opened = ledger::Ledger::open(std::move(config), system_clock_now, journal->metrics_);
    if (!opened && opened.error().reason == "ledger-locked") {
      return errors::make(Category::unavailable, "ledger-locked",
                          fmt::format("the ledger {} belongs to a running avseald; give --url, --cacert, --cert and "
                                      "--key instead, so that it records the act",
                                      options.ledger));
    }
    if (!opened) return opened.error();
    journal->log_ = std::move(*opened);
    return std::unique_ptr<Journal>(std::move(journal));
  }
  ~OwnJournal() override {
    if (log_) log_->close();
  }

  Result<void> begin(Act& act) override {
    act.id = tokens::random_uuid();
    return wait(append(*log_, ledger::begun(act), Outcome::released, {}));
  }
  Result<void> end(const Act& act, const Result<boost::json::object>& outcome) override {
    if (outcome) return wait(append(*log_, ledger::ended(act, *outcome), Outcome::released, {}));
    return wait(append(*log_, ledger::ended(act, {}), Outcome::discarded, outcome.error().reason));
  }

 private:
  static Result<void> wait(boost::asio::awaitable<Result<void>> task) {
    boost::asio::io_context context;
    std::optional<Result<void>> result;
    boost::asio::co_spawn(context, std::move(task), [&result](std::exception_ptr failure, Result<void> got) {
      if (!failure) result = std::move(got);
    });
    context.run();
    return result.value_or(errors::make(Category::internal, "ledger-unavailable", "the ledger gave no answer"));
  }

  prometheus::Registry metrics_;
  std::shared_ptr<ledger::Ledger> log_;
};

Result<std::unique_ptr<Journal>> open_journal(const ActOptions& options) {
  if (!options.node.url.empty()) return std::unique_ptr<Journal>(std::make_unique<NodeJournal>(options.node));
  if (!options.ledger.empty()) return OwnJournal::open(options);
  return errors::make(
      Category::invalid, "act-unrecorded",
      "this changes the HSM and must be recorded: give --url (with --cacert, --cert, --key) of a running "
      "avseald, or --ledger and --origin of one that does not run");
}

}  // namespace

void ActOptions::add_to(CLI::App& command) {
  auto* url = node.add_to(command, OperatorClient::Need::optional);
  auto* directory = command.add_option("--ledger", ledger, "ledger directory of an avseald that does not run");
  auto* name = command.add_option("--origin", origin, "its origin, <operator>/<node>");
  directory->needs(name)->excludes(url);
  name->needs(directory);
}

boost::json::object object_of(const pkcs11::Token& token, std::string_view label) {
  return {{"label", label}, {"serial", token.serial()}, {"token", token.label()}};
}

Result<void> perform(const ActOptions& options, std::string name, boost::json::object object,
                     const std::function<Result<boost::json::object>()>& action) {
  AVSEAL_TRY(const auto journal, open_journal(options));
  Act act{{}, std::move(name), std::move(object), terminal()};
  AVSEAL_CHECK(journal->begin(act));
  const auto outcome = action();
  const auto recorded = journal->end(act, outcome);
  if (!outcome) return outcome.error();
  if (recorded) return {};
  Error error = recorded.error();
  error.detail = fmt::format("{} was done, but its outcome could not be recorded (act {}): {}", act.name, act.id,
                             recorded.error().detail);
  return error;
}

}  // namespace avseal::cli
