// A SoftHSM token of the test's own, in a directory that goes with it.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>

#include "../support/temp_dir.hpp"
#include "pkcs11/keys.hpp"
#include "pkcs11/module.hpp"

namespace avseal::pkcs11 {

using avseal::test::TempDir;

inline constexpr const char* softhsm = "/usr/lib/softhsm/libsofthsm2.so";

inline Secret secret(std::string_view text) {
  return Secret::copy_of(as_bytes(text));
}

// Points SoftHSM of this process, and of its children, to an empty token directory.
class SoftHsm {
 public:
  SoftHsm() {
    std::filesystem::create_directory(directory.path() / "tokens");
    const auto conf =
        directory.write("softhsm2.conf", "directories.tokendir = " + (directory.path() / "tokens").string() +
                                             "\nobjectstore.backend = file\nlog.level = ERROR\n");
    setenv("SOFTHSM2_CONF", conf.c_str(), 1);
  }
  TempDir directory;
};

class TokenTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto loaded = Module::load(softhsm);
    ASSERT_TRUE(loaded) << loaded.error().detail;
    module = *loaded;
    auto made = Token::init(module, "test", secret("so-87654321"), secret("1234-user"));
    ASSERT_TRUE(made) << made.error().detail;
    token.emplace(std::move(*made));
  }

  Session logged_in(Session::Access access = Session::Access::read_write) {
    auto session = Session::open(*token, access);
    EXPECT_TRUE(session);
    const auto login = session->login(secret("1234-user"));
    EXPECT_TRUE(login) << login.error().detail;
    return std::move(*session);
  }

  static Uri key_uri(const std::string& label) { return *Uri::parse_key("pkcs11:object=" + label); }

  SoftHsm softhsm_directory;
  std::shared_ptr<const Module> module;
  std::optional<Token> token;
};

}  // namespace avseal::pkcs11
