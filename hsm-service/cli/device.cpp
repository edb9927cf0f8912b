// What operators do with the devices of a running node.
#include <memory>

#include <fmt/format.h>

#include "cli/commands.hpp"
#include "cli/device_output.hpp"
#include "cli/hsm_options.hpp"
#include "cli/operator_client.hpp"

namespace avseal::cli {
namespace {

struct Options {
  OperatorClient node;
  bool json = false;
  std::string id;
  std::string state;
  std::string batch;
  std::string model;
  std::string value;
  std::string scope;
  std::string reason;
  std::string file;
  std::string signature;
  std::string serial;
};
using OptionsPtr = std::shared_ptr<Options>;

constexpr const char* base = "/enrollment/v1/";

int finish(const Result<void>& done) {
  return done ? 0 : report(done.error());
}

Result<boost::json::value> get(const Options& options, const std::string& path) {
  AVSEAL_TRY(const auto answer, options.node.call(http::Method::get, base + path));
  return parse_answer(answer.body);
}

Result<boost::json::value> post(const Options& options, const std::string& path, const boost::json::object& body) {
  AVSEAL_TRY(const auto answer, options.node.call(http::Method::post, base + path, boost::json::serialize(body)));
  if (answer.body.empty()) return boost::json::value(boost::json::object{});
  return parse_answer(answer.body);
}

// All pages.
Result<void> list(const Options& options) {
  boost::json::array devices;
  std::string after;
  do {
    std::string query = "limit=500";
    for (const auto& [name, value] :
         {std::pair{"state", options.state}, {"batch", options.batch}, {"model", options.model}, {"after", after}}) {
      if (!value.empty()) query += fmt::format("&{}={}", name, query_value(value));
    }
    AVSEAL_TRY(const auto page, get(options, "devices?" + query));
    AVSEAL_TRY(after, take_page(page, devices));
  } while (!after.empty());
  if (options.json) {
    fmt::print("{}\n", boost::json::serialize(devices));
  } else {
    print_devices(devices);
  }
  return {};
}

Result<void> show(const Options& options) {
  AVSEAL_TRY(const auto device, get(options, "devices/" + options.id));
  if (options.json) {
    fmt::print("{}\n", boost::json::serialize(device));
  } else {
    print_device(device);
  }
  return {};
}

Result<void> print_table(const Options& options, const std::string& path, std::string_view member,
                         std::initializer_list<std::string_view> columns) {
  AVSEAL_TRY(const auto answer, get(options, path));
  if (options.json) {
    fmt::print("{}\n", boost::json::serialize(answer));
    return {};
  }
  return print_rows(answer, member, columns);
}

Result<void> approve(const Options& options) {
  boost::json::object body;
  if (!options.reason.empty()) body["reason"] = options.reason;
  AVSEAL_CHECK(post(options, "devices/" + options.id + "/approve", body));
  fmt::print("device {} is active\n", options.id);
  return {};
}

Result<void> print_revoked(const Options& options, const std::string& path, const boost::json::object& body,
                           const std::string& what) {
  AVSEAL_TRY(const auto answer, post(options, path, body));
  if (options.json) {
    fmt::print("{}\n", boost::json::serialize(answer));
  } else {
    fmt::print("{} revoked, with {} certificates\n", what, member_text(answer, "certificates"));
  }
  return {};
}

Result<void> revoke(const Options& options) {
  return print_revoked(options, "devices/" + options.id + "/revoke", {{"reason", options.reason}},
                       "device " + options.id);
}

Result<void> revoke_all(const Options& options, const std::string& kind) {
  boost::json::object body{{kind, options.value}, {"reason", options.reason}};
  if (!options.scope.empty()) body["scope"] = options.scope;
  return print_revoked(options, "device-revocations", body, kind + " " + options.value);
}

Result<void> import(const Options& options) {
  const auto signature = options.signature.empty() ? options.file + ".sig" : options.signature;
  AVSEAL_TRY(const auto body, manifest_body(options.file, signature));
  AVSEAL_TRY(const auto answer, post(options, "manifests", body));
  if (options.json) {
    fmt::print("{}\n", boost::json::serialize(answer));
  } else {
    fmt::print("manifest of {}, version {}: {} devices\n", member_text(answer, "maker"), member_text(answer, "version"),
               member_text(answer, "devices"));
  }
  return {};
}

Result<void> evidence(const Options& options) {
  AVSEAL_TRY(const auto answer, get(options, "evidence/" + options.serial));
  fmt::print("{}\n", boost::json::serialize(answer));
  return {};
}

CLI::App& add(CLI::App& device, const char* name, const char* help, const OptionsPtr& options) {
  auto* command = device.add_subcommand(name, help);
  options->node.add_to(*command);
  return *command;
}

void add_json(CLI::App& command, const OptionsPtr& options) {
  command.add_flag("--json", options->json, "for programs");
}

void add_id(CLI::App& command, const OptionsPtr& options) {
  command.add_option("id", options->id, "id of the device, as `list` shows it")->required();
}

void add_reason(CLI::App& command, const OptionsPtr& options) {
  command.add_option("--reason", options->reason, "goes into the ledger")->required();
}

void add_lists(CLI::App& device, int& exit_code, const OptionsPtr& options) {
  auto& list_command = add(device, "list", "list the devices that were seen", options);
  list_command.add_option("--state", options->state, "pending, active or revoked");
  list_command.add_option("--batch", options->batch, "of this batch only");
  list_command.add_option("--model", options->model, "of this model only");
  add_json(list_command, options);
  list_command.callback([options, &exit_code] { exit_code = finish(list(*options)); });

  auto& show_command = add(device, "show", "show one device with its identities and certificates", options);
  add_id(show_command, options);
  add_json(show_command, options);
  show_command.callback([options, &exit_code] { exit_code = finish(show(*options)); });

  auto& manifests = add(device, "manifests", "list the manifests that were imported", options);
  add_json(manifests, options);
  manifests.callback([options, &exit_code] {
    exit_code = finish(print_table(*options, "manifests", "manifests", {"maker", "version", "devices", "actor"}));
  });

  auto& revocations = add(device, "revocations", "list the batches, models and firmwares that are revoked", options);
  add_json(revocations, options);
  revocations.callback([options, &exit_code] {
    exit_code = finish(print_table(*options, "device-revocations", "revocations",
                                   {"batch", "model", "firmware", "scope", "actor", "reason"}));
  });

  auto& archived = add(device, "evidence", "show the archived evidence of a certificate, as JSON", options);
  archived.add_option("serial", options->serial, "serial number of the UE certificate, hex")->required();
  archived.callback([options, &exit_code] { exit_code = finish(evidence(*options)); });
}

void add_changes(CLI::App& device, int& exit_code, const OptionsPtr& options) {
  auto& approve_command = add(device, "approve", "let a pending or revoked device enrol again", options);
  add_id(approve_command, options);
  approve_command.add_option("--reason", options->reason, "goes into the ledger");
  approve_command.callback([options, &exit_code] { exit_code = finish(approve(*options)); });

  auto& revoke_command = add(device, "revoke", "revoke a device and all its certificates at once", options);
  add_id(revoke_command, options);
  add_reason(revoke_command, options);
  add_json(revoke_command, options);
  revoke_command.callback([options, &exit_code] { exit_code = finish(revoke(*options)); });

  auto& import_command = add(device, "import-manifest", "import a device maker's signed manifest", options);
  import_command.add_option("file", options->file, "the manifest")->required()->check(CLI::ExistingFile);
  import_command.add_option("--signature", options->signature, "its signature, DER; else the file's name with .sig")
      ->check(CLI::ExistingFile);
  add_json(import_command, options);
  import_command.callback([options, &exit_code] { exit_code = finish(import(*options)); });

  for (const char* kind : {"batch", "model", "firmware"}) {
    auto& command = add(device, fmt::format("revoke-{}", kind).c_str(),
                        fmt::format("revoke all devices of a {}, also later ones", kind).c_str(), options);
    command.add_option("value", options->value, kind)->required();
    const bool firmware = std::string_view(kind) == "firmware";
    command.add_option(firmware ? "--vendor" : "--maker", options->scope,
                       firmware ? "of this TPM vendor only, as id:53544D20" : "of this maker only");
    add_reason(command, options);
    add_json(command, options);
    command.callback([options, kind, &exit_code] { exit_code = finish(revoke_all(*options, kind)); });
  }
}

}  // namespace

void add_device(CLI::App& app, int& exit_code) {
  auto* device = app.add_subcommand("device", "devices that enrolled by their TPMs: look, approve, revoke; manifests");
  device->require_subcommand(1);
  const auto options = std::make_shared<Options>();
  add_lists(*device, exit_code, options);
  add_changes(*device, exit_code, options);
}

}  // namespace avseal::cli
