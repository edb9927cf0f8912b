#include "cli/object_input.hpp"

#include <array>
#include <fstream>
#include <iostream>

#include <fmt/chrono.h>

#include "tokens/json.hpp"

namespace avseal::cli {
namespace {

Result<std::string> read_all(std::istream& in, const std::string& name, std::size_t max_size) {
  std::string text;
  std::array<char, 4096> buffer{};
  while (in.read(buffer.data(), buffer.size()) || in.gcount() > 0) {
    text.append(buffer.data(), static_cast<std::size_t>(in.gcount()));
    if (text.size() > max_size) {
      return errors::make(Category::invalid, "file-unreadable",
                          fmt::format("expected at most {} MiB in {}, found more", max_size >> 20U, name));
    }
  }
  if (in.bad() || !in.eof()) return errors::make(Category::invalid, "file-unreadable", "cannot read " + name);
  return text;
}

}  // namespace

Result<std::string> read_file(const std::string& path, std::size_t max_size) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return errors::make(Category::invalid, "file-unreadable", "cannot open " + path);
  return read_all(in, path, max_size);
}

Result<std::string> read_stdin() {
  return read_all(std::cin, "the standard input", max_input_size);
}

std::string trimmed(std::string_view text) {
  constexpr std::string_view space = " \t\r\n";
  const std::size_t first = text.find_first_not_of(space);
  if (first == std::string_view::npos) return {};
  return std::string(text.substr(first, text.find_last_not_of(space) - first + 1));
}

Result<tokens::PublicKey> read_public_key(const std::string& path) {
  AVSEAL_TRY(const std::string text, read_file(path));
  if (trimmed(text).starts_with('{')) {
    AVSEAL_TRY(const auto jwk, tokens::parse_json(text));
    return tokens::PublicKey::from_jwk(jwk);
  }
  if (text.find("-----BEGIN CERTIFICATE-----") != std::string::npos) {
    AVSEAL_TRY(const auto certificate, tokens::Certificate::from_pem(text));
    return certificate.public_key();
  }
  return tokens::PublicKey::from_pem(text);
}

std::string time_text(UnixSeconds t) {
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(t));
}

}  // namespace avseal::cli
