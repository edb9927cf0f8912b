#include <charconv>
#include <cstdio>
#include <memory>

#include <boost/json.hpp>
#include <fmt/format.h>

#include "cli/device_output.hpp"
#include "cli/hsm_options.hpp"
#include "cli/ledger_commands.hpp"
#include "cli/operator_client.hpp"
#include "tokens/json.hpp"

namespace avseal::cli {
namespace {

constexpr std::size_t page_size = 1000;

struct Options {
  OperatorClient service;
  std::string since;
  std::string until;
  std::string event;
  std::string actor;
  std::string key;
  std::string outcome;
  std::string reason;
  std::string subject;
  std::string log;
  std::uint64_t from = 0;
  std::uint64_t limit = UINT64_MAX;
  bool csv = false;
};

std::string target(const Options& options, std::uint64_t from, std::uint64_t limit) {
  auto out = fmt::format("/ledger/v1/events?from={}&limit={}&format={}", from, limit, options.csv ? "csv" : "json");
  for (const auto& [name, value] : {std::pair{"time-range-start", options.since},
                                    {"time-range-end", options.until},
                                    {"event", options.event},
                                    {"actor", options.actor},
                                    {"key", options.key},
                                    {"outcome", options.outcome},
                                    {"reason", options.reason},
                                    {"subject", options.subject},
                                    {"log", options.log}}) {
    if (!value.empty()) out += fmt::format("&{}={}", name, query_value(value));
  }
  return out;
}

std::optional<std::uint64_t> next_of(const http::ClientResponse& answer) {
  const auto text = answer.header("avseal-ledger-next");
  std::uint64_t next = 0;
  if (!text || std::from_chars(text->data(), text->data() + text->size(), next).ec != std::errc()) return std::nullopt;
  return next;
}

// One event a line, as it is in the log. Gives how many.
Result<std::size_t> print_json(const std::string& body) {
  AVSEAL_TRY(const auto page, tokens::parse_json(body, {.size = body.size()}));
  const auto* object = page.if_object();
  const auto* member = object == nullptr ? nullptr : object->if_contains("events");
  const auto* events = member == nullptr ? nullptr : member->if_array();
  if (events == nullptr) return errors::make(Category::internal, "answer-unusable", "the answer holds no events");
  for (const auto& event : *events) fmt::print("{}\n", tokens::canonical_json(event));
  if (object->contains("subject")) fmt::print(stderr, "no event names this identity, or it was erased\n");
  return events->size();
}

// The header line once. A row may span lines inside quotes.
Result<std::size_t> print_csv(const std::string& body, bool first) {
  std::size_t rows = 0;
  bool quoted = false;
  for (const char c : body) {
    if (c == '"') quoted = !quoted;
    if (c == '\n' && !quoted) ++rows;
  }
  if (rows == 0) return errors::make(Category::internal, "answer-unusable", "the answer is no CSV with a header line");
  fmt::print("{}", std::string_view(body).substr(first ? 0 : body.find('\n') + 1));
  return rows - 1;
}

// Page by page, until nothing more or as many as were asked for.
Result<void> print_events(const Options& options) {
  auto left = options.limit;
  std::optional<std::uint64_t> from = options.from;
  for (bool first = true; from && left != 0; first = false) {
    const auto path = target(options, *from, std::min<std::uint64_t>(left, page_size));
    AVSEAL_TRY(const auto answer, options.service.call(http::Method::get, path));
    AVSEAL_TRY(const auto count, options.csv ? print_csv(answer.body, first) : print_json(answer.body));
    left -= std::min<std::uint64_t>(left, count);
    from = next_of(answer);
  }
  return {};
}

}  // namespace

void add_ledger_events(CLI::App& ledger, int& exit_code) {
  const auto options = std::make_shared<Options>();
  auto* command = ledger.add_subcommand("events", "search the log of a running node; each search is itself logged");
  options->service.add_to(*command);
  command->add_option("--since", options->since, "not before this time: 2026-11-25T23:00:00Z");
  command->add_option("--until", options->until, "before this time");
  command->add_option("--event", options->event, "sign.avatar-id, refusal, ...");
  command->add_option("--actor", options->actor, "id of a client, or base64url SHA-256 of its certificate");
  command->add_option("--use-of-key", options->key, "name of a key, or the thumbprint of its public key");
  command->add_option("--outcome", options->outcome, "released, refused or discarded");
  command->add_option("--reason", options->reason, "reason code");
  command->add_option("--subject", options->subject, "a person's IMPU; unknown once erased");
  command->add_option("--log", options->log, "year of a closed log");
  command->add_option("--from", options->from, "index to begin at");
  command->add_option("--limit", options->limit, "how many events at most")->check(CLI::PositiveNumber);
  command->add_flag("--csv", options->csv, "CSV instead of one JSON object a line");
  command->callback([options, &exit_code] {
    const auto done = print_events(*options);
    exit_code = done ? 0 : report(done.error());
  });
}

}  // namespace avseal::cli
