#include "service/config.hpp"

#include <fstream>
#include <iterator>
#include <sstream>
#include <thread>

#include <fmt/format.h>

#include "service/config_roles.hpp"
#include "service/toml_reader.hpp"
#include "tlog/note.hpp"
#include "tokens/base64.hpp"
#include "tokens/digest.hpp"

namespace avseal::service {
namespace {

using std::chrono::milliseconds;

Result<milliseconds> duration(TomlReader& reader, std::string_view key, milliseconds fallback, milliseconds most) {
  AVSEAL_TRY(const auto value, reader.integer_or(key, fallback.count(), 1, most.count()));
  return milliseconds{value};
}

Result<std::size_t> count(TomlReader& reader, std::string_view key, std::size_t fallback, std::size_t most) {
  AVSEAL_TRY(const auto value,
             reader.integer_or(key, static_cast<std::int64_t>(fallback), 1, static_cast<std::int64_t>(most)));
  return static_cast<std::size_t>(value);
}

Result<void> read_server(TomlReader reader, Config& out) {
  auto& server = out.server;
  AVSEAL_TRY(server.address, reader.string_or("address", server.address));
  AVSEAL_TRY(const auto port, reader.integer("port", 0, 65535));
  server.port = static_cast<std::uint16_t>(port);
  AVSEAL_TRY(server.certificate, reader.path("certificate"));
  AVSEAL_TRY(server.private_key, reader.path("private_key"));
  AVSEAL_TRY(server.client_anchors, reader.path("client_anchors"));
  AVSEAL_TRY(server.max_connections, count(reader, "max_connections", server.max_connections, 1'000'000));
  AVSEAL_TRY(server.max_connections_per_peer,
             count(reader, "max_connections_per_peer", server.max_connections_per_peer, 1'000'000));
  AVSEAL_TRY(server.request_deadline,
             duration(reader, "request_deadline_ms", server.request_deadline, milliseconds{60'000}));
  AVSEAL_TRY(server.idle_timeout, duration(reader, "idle_timeout_ms", server.idle_timeout, milliseconds{3'600'000}));
  AVSEAL_TRY(out.public_url, reader.string("public_url"));
  if (!out.public_url.starts_with("https://") || out.public_url.ends_with('/')) {
    return reader.error_at("public_url", "expected https://host[:port] without a path");
  }
  AVSEAL_TRY(const auto threads, count(reader, "threads", std::max(1U, std::thread::hardware_concurrency()), 256));
  out.threads = static_cast<unsigned>(threads);
  return reader.finish();
}

Result<void> read_log(TomlReader reader, Config& out) {
  AVSEAL_TRY(out.log_target, reader.string_or("target", out.log_target));
  if (out.log_target != "stderr" && out.log_target != "journal")
    return reader.error_at("target", "expected \"stderr\" or \"journal\"");
  AVSEAL_TRY(out.log_level, reader.string_or("level", out.log_level));
  if (out.log_level != "debug" && out.log_level != "info" && out.log_level != "warning" && out.log_level != "error") {
    return reader.error_at("level", "expected \"debug\", \"info\", \"warning\" or \"error\"");
  }
  return reader.finish();
}

Result<void> read_token(TomlReader reader, Config& out) {
  keyring::TokenConfig token;
  AVSEAL_TRY(token.name, reader.string("name"));
  for (const auto& other : out.keyring.tokens) {
    if (other.name == token.name) return reader.error_at("name", "is the name of an earlier [[tokens]]");
  }
  const bool spawned = reader.has("spawn");
  if (spawned == reader.has("sockets")) {
    return reader.error_at("spawn", "expected either spawn (and worker_config) or sockets");
  }
  if (spawned) {
    keyring::SpawnedToken spawn;
    spawn.name = token.name;
    AVSEAL_TRY(const auto workers, count(reader, "spawn", 1, 64));
    spawn.count = static_cast<unsigned>(workers);
    AVSEAL_TRY(spawn.config_file, reader.path("worker_config"));
    out.spawn.push_back(std::move(spawn));
  } else {
    AVSEAL_TRY(const auto sockets, reader.strings_or("sockets", {}));
    for (const auto& socket : sockets) token.sockets.emplace_back(socket);
    if (sockets.empty()) return reader.error_at("sockets", "expected at least one worker socket");
  }
  out.keyring.tokens.push_back(std::move(token));
  return reader.finish();
}

Result<void> read_key(TomlReader reader, Config& out) {
  keyring::KeyConfig key;
  AVSEAL_TRY(key.name, reader.string("name"));
  AVSEAL_TRY(const auto kind, reader.string("kind"));
  const auto parsed = keyring::parse_key_kind(kind);
  if (!parsed) return reader.error_at("kind", parsed.error().detail);
  key.kind = *parsed;
  AVSEAL_TRY(key.certificate, reader.path_or("certificate", {}));
  if (key.certificate.empty() != (key.kind == keyring::KeyKind::dac_kek)) {
    return reader.error_at("certificate", "expected for every kind but dac-kek");
  }
  AVSEAL_TRY(key.tokens, reader.strings_or("tokens", {}));
  for (const auto& name : key.tokens) {
    const auto known = std::any_of(out.keyring.tokens.begin(), out.keyring.tokens.end(),
                                   [&](const auto& t) { return t.name == name; });
    if (!known) return reader.error_at("tokens", fmt::format("'{}' is not the name of any [[tokens]]", name));
  }
  if (key.tokens.empty()) return reader.error_at("tokens", "expected the names of the tokens that hold this key");
  AVSEAL_TRY(key.primary, reader.boolean_or("primary", true));
  out.keyring.keys.push_back(std::move(key));
  return reader.finish();
}

Result<void> read_keyring(TomlReader reader, Config& out) {
  auto& keyring = out.keyring;
  AVSEAL_TRY(keyring.attempt_limit, duration(reader, "attempt_limit_ms", keyring.attempt_limit, milliseconds{60'000}));
  AVSEAL_TRY(const auto every, count(reader, "verify_after_sign", 1, 1'000'000));
  keyring.verify_after_sign = static_cast<unsigned>(every);
  AVSEAL_TRY(keyring.window, count(reader, "window", keyring.window, 4096));
  AVSEAL_TRY(keyring.max_queue, count(reader, "max_queue", keyring.max_queue, 1'000'000));
  AVSEAL_TRY(out.socket_directory, reader.path_or("socket_directory", {}));
  return reader.finish();
}

Result<void> read_ledger(TomlReader reader, Config& out) {
  AVSEAL_TRY(out.ledger.directory, reader.path("directory"));
  AVSEAL_TRY(out.ledger.origin, reader.string("origin"));
  if (!tlog::is_key_name(out.ledger.origin)) {
    return reader.error_at("origin", "expected <operator>/<node>, without spaces and '+'");
  }
  AVSEAL_TRY(out.ledger.checkpoint_interval,
             duration(reader, "checkpoint_interval_ms", out.ledger.checkpoint_interval, milliseconds{1000}));
  AVSEAL_TRY(out.ledger_http.open, reader.boolean_or("public", out.ledger_http.open));
  out.ledger_http.directory = out.ledger.directory;
  out.ledger_http.origin = out.ledger.origin;
  AVSEAL_TRY(const auto reserve, reader.integer_or("reserve_mib", 64, 1, 1 << 20));
  out.ledger.reserve_bytes = static_cast<std::uint64_t>(reserve) << 20;
  AVSEAL_TRY(const auto alarm,
             reader.integer_or("witness_alarm_seconds", out.witnesses.alarm_after.count(), 1, 86'400));
  out.witnesses.alarm_after = std::chrono::seconds(alarm);
  return reader.finish();
}

Result<void> read_witness(TomlReader reader, Config& out) {
  AVSEAL_TRY(auto url, reader.string("url"));
  if (!url.starts_with("https://") || url.ends_with('/')) {
    return reader.error_at("url", "expected https://host[:port][/path] without a slash at the end");
  }
  AVSEAL_TRY(const auto text, reader.string("vkey"));
  auto key = tlog::VerifierKey::parse(text);
  if (!key) return reader.error_at("vkey", key.error().detail);
  if (key->type() != tlog::KeyType::cosignature)
    return reader.error_at("vkey", "expected the key of a witness: type 4");
  AVSEAL_TRY(auto anchors, reader.path("cacert"));
  out.witnesses.witnesses.push_back({std::move(url), std::move(*key), std::move(anchors)});
  return reader.finish();
}

Result<void> read_clock(TomlReader reader, Config& out) {
  AVSEAL_TRY(const auto source, reader.string_or("source", std::string(to_string(out.clock.source))));
  const auto parsed = clock::parse_source(source);
  if (!parsed) return reader.error_at("source", parsed.error().detail);
  out.clock.source = *parsed;
  AVSEAL_TRY(out.clock.chronyc, reader.path_or("chronyc", out.clock.chronyc));
  return reader.finish();
}

Result<void> read_store(TomlReader reader, Config& out) {
  AVSEAL_TRY(out.store_file, reader.path("file"));
  AVSEAL_TRY(out.row_key_file, reader.path("row_key"));
  return reader.finish();
}

Result<std::vector<http::NumberRange>> read_ranges(TomlReader& reader, std::string_view key) {
  AVSEAL_TRY(const auto texts, reader.strings_or(key, {}));
  std::vector<http::NumberRange> out;
  for (const auto& text : texts) {
    const auto dash = text.find('-');
    const auto first = tokens::canonical_tn(std::string_view(text).substr(0, dash));
    const auto last = tokens::canonical_tn(dash == std::string::npos ? std::string_view(text)
                                                                     : std::string_view(text).substr(dash + 1));
    if (!first || !last || first->size() != last->size() || *last < *first) {
      return reader.error_at(
          key, "expected ranges as \"17035550000-17035559999\", both ends with the same number of digits");
    }
    out.push_back({*first, *last});
  }
  return out;
}

Result<void> read_client(TomlReader reader, Config& out) {
  http::ClientEntry entry;
  auto& client = entry.client;
  AVSEAL_TRY(client.id, reader.string("id"));
  AVSEAL_TRY(const auto role, reader.string("role"));
  const auto parsed = http::parse_client_role(role);
  if (!parsed) return reader.error_at("role", parsed.error().detail);
  client.role = *parsed;
  AVSEAL_TRY(entry.san_uri, reader.string_or("san_uri", {}));
  AVSEAL_TRY(entry.san_dns, reader.string_or("san_dns", {}));
  AVSEAL_TRY(entry.sha256_hex, reader.string_or("sha256", {}));
  const int names = int{!entry.san_uri.empty()} + int{!entry.san_dns.empty()} + int{!entry.sha256_hex.empty()};
  if (names != 1) return reader.error_at("id", "expected exactly one of san_uri, san_dns and sha256");
  switch (client.role) {
    case http::ClientRole::ims_as: {
      AVSEAL_TRY(client.domains, reader.strings_or("domains", {}));
      AVSEAL_TRY(client.numbers, read_ranges(reader, "numbers"));
      AVSEAL_TRY(const auto attest_text, reader.string_or("max_attest", "B"));
      const auto attest = tokens::parse_attest(attest_text);
      if (!attest) return reader.error_at("max_attest", attest.error().detail);
      client.max_attest = *attest;
      AVSEAL_TRY(const auto dialect, reader.string_or("dialect", "ts24229"));
      if (dialect != "ts24229" && dialect != "atis1000082")
        return reader.error_at("dialect", "expected \"ts24229\" or \"atis1000082\"");
      client.dialect = dialect == "ts24229" ? http::MsDialect::ts24229 : http::MsDialect::atis1000082;
      break;
    }
    case http::ClientRole::xr_as: {
      AVSEAL_TRY(client.nf_instance_id, reader.string("nf_instance_id"));
      if (!tokens::is_uuid(client.nf_instance_id)) return reader.error_at("nf_instance_id", "expected a UUID");
      AVSEAL_TRY(client.xr_as_id, reader.string("xr_as_id"));
      AVSEAL_TRY(client.applications, reader.strings_or("applications", {}));
      AVSEAL_TRY(client.capif_security_id, reader.string_or("capif_security_id", {}));
      break;
    }
    case http::ClientRole::feeder: {
      AVSEAL_TRY(client.owner_domains, reader.strings_or("owner_domains", {}));
      AVSEAL_TRY(client.numbers, read_ranges(reader, "numbers"));
      break;
    }
    case http::ClientRole::operator_:
    case http::ClientRole::auditor:
      break;
  }
  out.clients.push_back(std::move(entry));
  return reader.finish();
}

template <class Read>
Result<void> read_each(TomlReader& root, std::string_view key, Config& out, Read read) {
  AVSEAL_TRY(auto tables, root.tables(key));
  for (auto& table : tables) {
    AVSEAL_CHECK(read(std::move(table), out));
  }
  return {};
}

template <class Read>
Result<void> read_one(TomlReader& root, std::string_view key, Config& out, Read read) {
  AVSEAL_TRY(auto table, root.table(key));
  return read(std::move(table), out);
}

Error unreadable(std::string detail) {
  return errors::make(Category::internal, "configuration-invalid", std::move(detail));
}

Result<std::string> read_text(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  std::string text{std::istreambuf_iterator<char>(in), {}};
  if (!in.is_open() || in.bad()) return unreadable(fmt::format("{} cannot be read", file.string()));
  return text;
}

// The text of each member of a table; a list is one member.
std::map<std::string, std::string> members_of(const toml::table& document) {
  std::map<std::string, std::string> members;
  const auto add = [&](std::string name, const toml::node& node) {
    std::ostringstream text;
    text << toml::json_formatter(node);
    members.emplace(std::move(name), text.str());
  };
  for (const auto& [name, node] : document) {
    const auto* table = node.as_table();
    if (table == nullptr) {
      add(std::string(name.str()), node);
      continue;
    }
    for (const auto& [member, value] : *table) add(fmt::format("{}.{}", name.str(), member.str()), value);
  }
  return members;
}

}  // namespace

Result<Config> load_config(const std::filesystem::path& file) {
  AVSEAL_TRY(const std::string text, read_text(file));
  toml::table document;
  try {
    document = toml::parse(text, file.string());
  } catch (const toml::parse_error& e) {
    return unreadable(fmt::format("{}:{}: {}", file.string(), e.source().begin.line, e.description()));
  }
  Config out;
  out.file = file;
  out.digest = tokens::base64url_encode(tokens::sha256(as_bytes(text)));
  out.members = members_of(document);
  TomlReader root(document, file, "configuration");
  AVSEAL_CHECK(read_one(root, "server", out, read_server));
  AVSEAL_CHECK(read_one(root, "log", out, read_log));
  AVSEAL_CHECK(read_each(root, "tokens", out, read_token));
  AVSEAL_CHECK(read_one(root, "keyring", out, read_keyring));
  AVSEAL_CHECK(read_each(root, "keys", out, read_key));
  AVSEAL_CHECK(read_one(root, "clock", out, read_clock));
  AVSEAL_CHECK(read_one(root, "ledger", out, read_ledger));
  AVSEAL_CHECK(read_each(root, "witnesses", out, read_witness));
  AVSEAL_CHECK(read_one(root, "store", out, read_store));
  AVSEAL_CHECK(read_each(root, "clients", out, read_client));
  AVSEAL_CHECK(read_roles(root, out));
  AVSEAL_CHECK(root.finish());
  if (!out.spawn.empty() && out.socket_directory.empty()) {
    return root.error_at("keyring", "spawn needs keyring.socket_directory, a directory for the workers' sockets");
  }
  return out;
}

}  // namespace avseal::service
