// Other people's clients against our server.
#include <array>
#include <cstdio>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "site.hpp"

namespace avseal::http {
namespace {

using ::testing::HasSubstr;
using namespace avseal::http::testing;

std::string output_of(const std::string& command) {
  std::string text;
  FILE* pipe = popen((command + " 2>&1").c_str(), "r");
  if (!pipe) return "popen failed";
  std::array<char, 4096> buffer{};
  for (std::size_t size = 0; (size = std::fread(buffer.data(), 1, buffer.size(), pipe)) > 0;)
    text.append(buffer.data(), size);
  pclose(pipe);
  return text;
}

std::string curl(const TestSite& site, const std::string& options, const std::string& target) {
  return output_of("curl --silent --show-error --max-time 20 --cacert " + site.ca.file().string() + " --cert " +
                   site.ims.certificate_file.string() + " --key " + site.ims.key_file.string() +
                   " --write-out ' [%{http_version} %{http_code}]' " + options + " '" + site.url(target) + "'");
}

TEST(Curl, SpeaksBothVersions) {
  TestSite site;
  EXPECT_EQ(curl(site, "--http2", "/calls/a"), "a of ims-1 [2 200]");
  EXPECT_EQ(curl(site, "--http1.1", "/calls/a"), "a of ims-1 [1.1 200]");
  EXPECT_EQ(curl(site, "--http2 -X DELETE", "/calls/a"), " [2 204]");
  EXPECT_EQ(curl(site, "--http2 --head -o /dev/null", "/open"), " [2 200]");
  const std::string post = "-H 'Content-Type: application/json' --data-binary '{}' ";
  EXPECT_EQ(curl(site, post + "--http2", "/echo"), "{} [2 200]");
  EXPECT_EQ(curl(site, post + "--http1.1", "/echo"), "{} [1.1 200]");
}

TEST(Curl, UploadsAndDownloads) {
  TestSite site;
  const std::string file = (site.directory.path() / "content").string();
  ASSERT_EQ(output_of("head -c 3000000 /dev/zero > " + file), "");
  for (const std::string version : {"--http2", "--http1.1"}) {
    EXPECT_THAT(curl(site, version + " -T " + file, "/upload"), HasSubstr("3000000 ["));
    EXPECT_THAT(curl(site, version + " -H 'Content-Type: application/json' --data-binary @" + file, "/echo"),
                HasSubstr("413]"));
    EXPECT_THAT(curl(site, version + " -o " + file + ".out", "/download?size=3000000"), HasSubstr("200]"));
    EXPECT_EQ(std::filesystem::file_size(file + ".out"), 3'000'000U);
  }
}

struct RefusedUpload {
  std::string target;
  std::string method;
  bool auditor;
  std::string expected;
};

// Whatever the size of an upload that is refused, the client reads why.
class Refused : public ::testing::TestWithParam<RefusedUpload> {
 protected:
  std::string upload(TestSite& site, const std::string& client, std::size_t size) const {
    const std::string file = (site.directory.path() / "content").string();
    EXPECT_EQ(output_of("truncate -s " + std::to_string(size) + " " + file), "");
    const Identity& identity = GetParam().auditor ? site.auditor : site.ims;
    const std::string certificate = identity.certificate_file.string();
    const std::string key = identity.key_file.string();
    const std::string rest = " -H 'Content-Type: application/json' '" + site.url(GetParam().target) + "'";
    if (client == "nghttp") {
      return output_of("nghttp --timeout=20 --verbose -H ':method: " + GetParam().method + "' --data=" + file +
                       " --cert=" + certificate + " --key=" + key + rest);
    }
    return output_of("curl --silent --show-error --max-time 20 --cacert " + site.ca.file().string() + " --cert " +
                     certificate + " --key " + key + " --write-out '[%{http_code} %{content_type}]' " + client +
                     " -X " + GetParam().method + " -T " + file + rest);
  }
};

TEST_P(Refused, UploadReachesTheClient) {
  TestSite site;
  for (const std::size_t size : {100UL << 10, 1UL << 20, 50UL << 20}) {
    for (const std::string version : {"--http2", "--http1.1"}) {
      const std::string said = upload(site, version, size);
      EXPECT_THAT(said, HasSubstr("[" + GetParam().expected + " application/problem+json]")) << version << size;
      EXPECT_THAT(said, HasSubstr("\"status\":" + GetParam().expected)) << version << size;
    }
    EXPECT_THAT(upload(site, "nghttp", size), HasSubstr(":status: " + GetParam().expected)) << size;
  }
  EXPECT_LE(site.metric("avseal_http_buffered_body_bytes"), 0);
}

INSTANTIATE_TEST_SUITE_P(Reasons, Refused,
                         ::testing::Values(RefusedUpload{"/upload", "PUT", true, "403"},
                                           RefusedUpload{"/small-upload", "PUT", false, "413"},
                                           RefusedUpload{"/upload?fail=1", "PUT", false, "409"},
                                           RefusedUpload{"/nowhere", "PUT", false, "404"},
                                           RefusedUpload{"/upload", "POST", false, "405"},
                                           RefusedUpload{"/echo", "POST", false, "413"}));

TEST(Nghttp, IsServed) {
  TestSite site;
  const std::string out =
      output_of("nghttp --cert=" + site.ims.certificate_file.string() + " --key=" + site.ims.key_file.string() +
                " --timeout=20 '" + site.url("/calls/a") + "'");
  EXPECT_THAT(out, HasSubstr("a of ims-1"));
}

}  // namespace
}  // namespace avseal::http
