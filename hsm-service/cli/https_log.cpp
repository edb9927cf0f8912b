#include "cli/https_log.hpp"

#include <algorithm>
#include <curl/curl.h>
#include <mutex>
#include <thread>
#include <vector>

#include <fmt/format.h>

namespace avseal::cli {
namespace {

constexpr std::size_t max_answer = tlog::max_bundle_size;
constexpr long connect_seconds = 10;
constexpr long total_seconds = 120;
constexpr int attempts = 5;  // while the node asks for a repetition
constexpr curl_off_t longest_pause = 10;

struct FreeEasy {
  void operator()(CURL* curl) const noexcept { curl_easy_cleanup(curl); }
};
using Connection = std::unique_ptr<CURL, FreeEasy>;

struct Answer {
  Bytes body;
  bool too_large = false;
  long status = 0;
  curl_off_t retry_after = 0;
};

std::size_t take_body(char* data, std::size_t, std::size_t size, void* context) {
  auto& answer = *static_cast<Answer*>(context);
  if (answer.body.size() + size > max_answer) {
    answer.too_large = true;
    return 0;
  }
  answer.body.insert(answer.body.end(), data, data + size);
  return size;
}

class Source final : public tlog::Source {
 public:
  explicit Source(HttpsLog log) : log_(std::move(log)) {
    while (log_.url.ends_with('/')) log_.url.pop_back();
  }

  [[nodiscard]] std::string describe(const std::string& path) const override {
    return fmt::format("{}/ledger/v1/{}", log_.url, path);
  }

  [[nodiscard]] Result<Bytes> read(const std::string& path) const override {
    AVSEAL_TRY(auto connection, take());
    for (int i = 1;; ++i) {
      AVSEAL_TRY(auto answer, get(connection.get(), describe(path)));
      const bool again = answer.status == 503 || answer.status == 429;
      if (!again || i == attempts) {
        give_back(std::move(connection));
        return judge(path, std::move(answer));
      }
      std::this_thread::sleep_for(std::chrono::seconds(std::clamp<curl_off_t>(answer.retry_after, 1, longest_pause)));
    }
  }

 private:
  [[nodiscard]] Result<Connection> take() const {
    {
      const std::lock_guard lock(mutex_);
      if (!idle_.empty()) {
        auto connection = std::move(idle_.back());
        idle_.pop_back();
        return connection;
      }
    }
    Connection connection(curl_easy_init());
    AVSEAL_CHECK(set_up(connection.get()));
    return connection;
  }
  void give_back(Connection connection) const {
    const std::lock_guard lock(mutex_);
    idle_.push_back(std::move(connection));
  }

  [[nodiscard]] Result<void> set_up(CURL* curl) const;
  [[nodiscard]] static Result<Answer> get(CURL* curl, const std::string& url);
  [[nodiscard]] Result<Bytes> judge(const std::string& path, Answer answer) const;

  HttpsLog log_;
  mutable std::mutex mutex_;
  mutable std::vector<Connection> idle_;
};

Error failed(const std::string& url, std::string_view why) {
  return errors::make(Category::unavailable, "log-unreadable", fmt::format("{}: {}", url, why));
}

Result<void> Source::set_up(CURL* curl) const {
  CURLcode code = curl == nullptr ? CURLE_FAILED_INIT : CURLE_OK;
  const auto set = [&](CURLoption option, auto value) {
    if (code == CURLE_OK) code = curl_easy_setopt(curl, option, value);
  };
  set(CURLOPT_PROTOCOLS_STR, "https");
  set(CURLOPT_PROXY, "");
  set(CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_3));
  set(CURLOPT_CAINFO, log_.cacert.empty() ? nullptr : log_.cacert.c_str());
  if (!log_.cacert.empty()) set(CURLOPT_CAPATH, nullptr);
  if (!log_.cert.empty()) {
    set(CURLOPT_SSLCERT, log_.cert.c_str());
    set(CURLOPT_SSLKEY, log_.key.c_str());
  }
  set(CURLOPT_CONNECTTIMEOUT, connect_seconds);
  set(CURLOPT_TIMEOUT, total_seconds);
  set(CURLOPT_NOSIGNAL, 1L);
  set(CURLOPT_WRITEFUNCTION, take_body);
  if (code == CURLE_OK) return {};
  return failed(log_.url, curl_easy_strerror(code));
}

Result<Answer> Source::get(CURL* curl, const std::string& url) {
  Answer answer;
  char words[CURL_ERROR_SIZE] = "";
  curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, words);
  curl_easy_setopt(curl, CURLOPT_URL, url.c_str());
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &answer);
  const auto code = curl_easy_perform(curl);
  if (answer.too_large) return failed(url, "an answer larger than any file of a log");
  if (code != CURLE_OK) return failed(url, *words != '\0' ? words : curl_easy_strerror(code));
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &answer.status);
  curl_easy_getinfo(curl, CURLINFO_RETRY_AFTER, &answer.retry_after);
  return answer;
}

Result<Bytes> Source::judge(const std::string& path, Answer answer) const {
  if (answer.status == 200) return std::move(answer.body);
  if (answer.status == 404) {
    return errors::make(Category::not_found, "log-file-missing", fmt::format("{}: status 404", describe(path)));
  }
  if (answer.status == 401 || answer.status == 403) {
    return errors::make(Category::forbidden, "log-refused",
                        fmt::format("{}: status {}: --cert must be of a client with the role auditor or operator",
                                    describe(path), answer.status));
  }
  return failed(describe(path), fmt::format("status {}", answer.status));
}

}  // namespace

Result<std::unique_ptr<tlog::Source>> open_https_log(HttpsLog log) {
  static const CURLcode started = curl_global_init(CURL_GLOBAL_DEFAULT);
  if (started != CURLE_OK) return failed(log.url, "libcurl cannot be used");
  if (!log.url.starts_with("https://")) {
    return errors::make(Category::invalid, "https-url",
                        fmt::format("expected https://host[:port], found \"{}\"", log.url));
  }
  return std::unique_ptr<tlog::Source>(std::make_unique<Source>(std::move(log)));
}

}  // namespace avseal::cli
