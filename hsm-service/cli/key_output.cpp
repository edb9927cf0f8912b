#include "cli/key_output.hpp"

#include <cstdio>
#include <fstream>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "tokens/base64.hpp"
#include "tokens/json.hpp"

namespace avseal::cli {

namespace {

std::string_view word(const std::optional<bool>& flag) {
  return !flag ? "?" : *flag ? "yes" : "no";
}

boost::json::value value(const std::optional<bool>& flag) {
  return flag ? boost::json::value(*flag) : boost::json::value(nullptr);
}

}  // namespace

std::string keys_as_table(const std::vector<pkcs11::KeyDescription>& keys) {
  constexpr std::string_view row = "{:<20} {:<9} {:<9} {:<11} {:<9} {:<11} {:<5} {:<16} {}\n";
  std::string table =
      fmt::format(row, "LABEL", "TYPE", "SENSITIVE", "EXTRACTABLE", "ALWAYS-S.", "NEVER-EXTR.", "LOCAL", "USAGE", "ID");
  for (const auto& key : keys) {
    table += fmt::format(row, key.label, key.type, word(key.sensitive), word(key.extractable),
                         word(key.always_sensitive), word(key.never_extractable), word(key.local),
                         fmt::format("{}", fmt::join(key.usage, ",")), tokens::hex_encode(key.id));
  }
  return table;
}

std::string keys_as_json(const std::vector<pkcs11::KeyDescription>& keys) {
  boost::json::array list;
  for (const auto& key : keys) {
    boost::json::object entry{{"label", key.label},
                              {"id", tokens::hex_encode(key.id)},
                              {"type", key.type},
                              {"sensitive", value(key.sensitive)},
                              {"extractable", value(key.extractable)},
                              {"always_sensitive", value(key.always_sensitive)},
                              {"never_extractable", value(key.never_extractable)},
                              {"local", value(key.local)},
                              {"modifiable", value(key.modifiable)},
                              {"usage", boost::json::array(key.usage.begin(), key.usage.end())}};
    if (key.public_key) entry["thumbprint"] = key.public_key->thumbprint();
    list.push_back(std::move(entry));
  }
  return tokens::canonical_json(list) + "\n";
}

std::string pem(std::string_view label, ByteView der) {
  const std::string text = tokens::base64_encode(der);
  std::string out = fmt::format("-----BEGIN {}-----\n", label);
  for (std::size_t i = 0; i < text.size(); i += 64) out.append(text, i, 64).push_back('\n');
  return out + fmt::format("-----END {}-----\n", label);
}

Result<void> write_output(const std::string& file, std::string_view text) {
  if (file.empty()) {
    const bool written = std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0;
    if (written) return {};
    return errors::make(Category::internal, "output-failed", "cannot write to standard output");
  }
  std::ofstream out(file, std::ios::binary | std::ios::trunc);
  out << text;
  out.close();
  if (out) return {};
  return errors::make(Category::internal, "output-failed", "cannot write " + file);
}

}  // namespace avseal::cli
