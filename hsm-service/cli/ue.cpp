#include <cstdio>
#include <memory>

#include <boost/json.hpp>
#include <fmt/format.h>

#include "cli/commands.hpp"
#include "cli/hsm_options.hpp"
#include "cli/operator_client.hpp"
#include "tokens/fingerprint.hpp"
#include "tokens/json.hpp"

namespace avseal::cli {
namespace {

struct Options {
  OperatorClient service;
  std::string impu;
  std::int64_t lifetime = 0;
  bool simple = false;
  std::string x5t;
  std::string reason;
};

int invite(const Options& options) {
  boost::json::object body{{"impu", options.impu}};
  if (options.lifetime != 0) body["lifetime"] = options.lifetime;
  if (options.simple) {
    body["simple"] = true;
    body["reason"] = options.reason;
  }
  const auto response = options.service.call(http::Method::post, "/enrollment/v1/codes", boost::json::serialize(body));
  if (!response) return report(response.error());
  const auto answer = tokens::parse_json(response->body);
  const auto* code = answer && answer->is_object() ? answer->get_object().if_contains("code") : nullptr;
  if (code == nullptr || !code->is_string()) {
    return report(errors::make(Category::internal, "answer-unusable", "the answer holds no code"));
  }
  fmt::print("{}\n", std::string_view(code->get_string()));
  return 0;
}

int revoke(const Options& options) {
  const auto fingerprint = tokens::Fingerprint::from_x5t(options.x5t);
  if (!fingerprint) return report(fingerprint.error());
  const boost::json::object body{{"reason", options.reason}};
  const auto response =
      options.service.call(http::Method::post, fmt::format("/enrollment/v1/certificates/{}/revoke", options.x5t),
                           boost::json::serialize(body));
  if (!response) return report(response.error());
  return 0;
}

}  // namespace

void add_ue(CLI::App& app, int& exit_code) {
  auto* ue = app.add_subcommand("ue", "UE certificates: enrolment codes and revocation");
  ue->require_subcommand(1);

  const auto options = std::make_shared<Options>();

  auto* invite_command = ue->add_subcommand("invite", "issue a single-use enrolment code and print it, once");
  options->service.add_to(*invite_command);
  invite_command->add_option("--impu", options->impu, "the identity that the UE will be certified for")->required();
  invite_command->add_option("--lifetime", options->lifetime, "seconds that the code can be used")
      ->check(CLI::PositiveNumber);
  auto* simple = invite_command->add_flag("--simple", options->simple,
                                          "for a UE that proves no TPM: an exception, recorded with its reason");
  auto* reason = invite_command->add_option("--reason", options->reason, "why --simple; goes into the ledger");
  simple->needs(reason);
  reason->needs(simple);
  invite_command->callback([options, &exit_code] { exit_code = invite(*options); });

  auto* revoke_command = ue->add_subcommand("revoke", "revoke a UE certificate at once");
  options->service.add_to(*revoke_command);
  revoke_command->add_option("--x5t", options->x5t, "base64url SHA-256 of the certificate")->required();
  revoke_command->add_option("--reason", options->reason, "goes into the ledger")->required();
  revoke_command->callback([options, &exit_code] { exit_code = revoke(*options); });
}

}  // namespace avseal::cli
