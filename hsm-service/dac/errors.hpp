#pragma once

#include <cstring>
#include <filesystem>

#include <fmt/format.h>

#include "tokens/result.hpp"

namespace avseal::dac::errors {

inline Error content_altered(std::string_view found) {
  return avseal::errors::make(
      Category::internal, "content-altered",
      fmt::format(
          "the stored content does not verify: {}; it was not served. Publish the avatar again, and find out who "
          "can write the content directory",
          found));
}

inline Error content_missing(const std::filesystem::path& file) {
  return avseal::errors::make(Category::internal, "content-missing",
                              fmt::format("{} is not there; publish the avatar again", file.filename().string()));
}

inline Error storage(std::string_view what, const std::filesystem::path& file, int errno_value) {
  return avseal::errors::make(Category::unavailable, "content-storage",
                              fmt::format("{} {}: {}", what, file.string(), std::strerror(errno_value)));
}

inline Error digest_mismatch(std::string_view expected, std::string_view found) {
  return avseal::errors::make(Category::invalid, "content-digest-mismatch",
                              fmt::format("Content-Digest says sha-256 {}, the content has {}", expected, found),
                              "header Content-Digest");
}

inline Error cipher(std::string_view what) {
  return avseal::errors::make(Category::internal, "content-cipher", fmt::format("OpenSSL could not {}", what));
}

}  // namespace avseal::dac::errors
