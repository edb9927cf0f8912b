#include "service/log.hpp"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include "service/journal.hpp"

namespace avseal::service {

Result<void> start_log(const std::string& target, const std::string& level) {
  try {
    std::shared_ptr<spdlog::logger> logger;
    if (target == "journal") {
      logger = std::make_shared<spdlog::logger>("avseald", journal_sink());
    } else {
      logger = std::make_shared<spdlog::logger>("avseald", std::make_shared<spdlog::sinks::stderr_sink_mt>());
      logger->set_pattern("time=%Y-%m-%dT%H:%M:%S.%eZ level=%l %v", spdlog::pattern_time_type::utc);
    }
    logger->set_level(spdlog::level::from_str(level));
    logger->flush_on(spdlog::level::info);
    spdlog::set_default_logger(std::move(logger));
  } catch (const spdlog::spdlog_ex& e) {
    return errors::make(Category::internal, "log-unavailable", std::string("the log cannot be opened: ") + e.what());
  }
  return {};
}

void set_log_level(const std::string& level) {
  spdlog::default_logger()->set_level(spdlog::level::from_str(level));
}

std::string log_value(std::string_view text) {
  std::string out{'"'};
  for (const char c : text) out.push_back(c < 0x20 || c == 0x7f || c == '"' || c == '\\' ? '\'' : c);
  out.push_back('"');
  return out;
}

}  // namespace avseal::service
