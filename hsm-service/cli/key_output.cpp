#include "cli/key_output.hpp"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <unistd.h>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "cli/key_attributes.hpp"
#include "tokens/base64.hpp"
#include "tokens/json.hpp"

namespace avseal::cli {

namespace {

std::string_view word(const std::optional<bool>& flag) {
  return !flag ? "?" : *flag ? "yes" : "no";
}

// A value for people; "!" before one that a key of avseal must not have.
std::string shown(const KeyAttribute& attribute, const boost::json::value& value) {
  if (value.is_null()) return "the module does not tell";
  if (const auto* flag = value.if_bool()) {
    const bool good = !attribute.wanted || *attribute.wanted == *flag;
    return fmt::format("{}{}", good ? "" : "! ", *flag ? "yes" : "no");
  }
  if (const auto* list = value.if_array()) {
    std::vector<std::string> names;
    for (const auto& name : *list) names.emplace_back(name.get_string());
    return names.empty() ? "none" : fmt::format("{}", fmt::join(names, ", "));
  }
  const std::string_view text = value.get_string();
  return text.empty() ? "none" : std::string(text);
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

std::string keys_explained(const std::vector<pkcs11::KeyDescription>& keys) {
  std::string text;
  for (const auto& key : keys) {
    for (const auto& attribute : key_attributes()) {
      text += fmt::format("{:<19} {:<26} {:<27} {}\n", attribute.name, shown(attribute, attribute.value(key)),
                          attribute.pkcs11, attribute.meaning);
    }
    text += "\n";
  }
  return text + "! marks what a key of avseal must not be.\n";
}

std::string keys_as_json(const std::vector<pkcs11::KeyDescription>& keys) {
  boost::json::array list;
  for (const auto& key : keys) {
    boost::json::object entry;
    for (const auto& attribute : key_attributes()) entry[attribute.name] = attribute.value(key);
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

Result<void> replace_file(const std::filesystem::path& file, std::string_view text) {
  const auto failed = [&file](std::string_view what) {
    return errors::make(Category::internal, "output-failed",
                        fmt::format("cannot {} {}: {}", what, file.string(), std::strerror(errno)));
  };
  std::error_code ignored;
  const bool replaceable = !std::filesystem::exists(file, ignored) || std::filesystem::is_regular_file(file, ignored);
  if (!replaceable) return errors::make(Category::invalid, "output-failed", file.string() + " is no regular file");
  const std::string temporary = fmt::format("{}.{}", file.string(), ::getpid());
  const int fd = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  if (fd < 0) return failed("write beside");
  const bool written = ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()) && ::fsync(fd) == 0;
  ::close(fd);
  const bool replaced = written && ::rename(temporary.c_str(), file.c_str()) == 0;
  if (!replaced) {
    const Error error = failed("write");
    ::unlink(temporary.c_str());
    return error;
  }
  const auto parent = file.has_parent_path() ? file.parent_path() : std::filesystem::path(".");
  const int directory = ::open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const bool synced = directory >= 0 && ::fsync(directory) == 0;
  if (directory >= 0) ::close(directory);
  if (!synced) return failed("sync the directory of");
  return {};
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
