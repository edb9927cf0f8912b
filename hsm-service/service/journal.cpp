#include "service/journal.hpp"

#include <algorithm>
#include <mutex>
#include <sys/uio.h>
#include <syslog.h>

#include <spdlog/sinks/base_sink.h>
#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>

namespace avseal::service {
namespace {

constexpr std::size_t max_fields = 32;
constexpr std::size_t max_name = 32;

int priority(spdlog::level::level_enum level) {
  switch (level) {
    case spdlog::level::critical:
      return LOG_CRIT;
    case spdlog::level::err:
      return LOG_ERR;
    case spdlog::level::warn:
      return LOG_WARNING;
    case spdlog::level::info:
      return LOG_INFO;
    default:
      return LOG_DEBUG;
  }
}

class JournalSink final : public spdlog::sinks::base_sink<std::mutex> {
 private:
  void sink_it_(const spdlog::details::log_msg& message) override {
    const std::string_view line(message.payload.data(), message.payload.size());
    std::vector<std::string> fields = journal_fields(line);
    fields.push_back("MESSAGE=" + std::string(line));
    fields.push_back("PRIORITY=" + std::to_string(priority(message.level)));
    fields.emplace_back("SYSLOG_IDENTIFIER=avseald");
    std::vector<iovec> parts;
    parts.reserve(fields.size());
    for (std::string& field : fields) parts.push_back({field.data(), field.size()});
    ::sd_journal_sendv(parts.data(), static_cast<int>(parts.size()));
  }
  void flush_() override {}
};

bool is_name(std::string_view text) {
  return !text.empty() && text.size() <= max_name &&
         std::all_of(text.begin(), text.end(), [](char c) { return (c >= 'a' && c <= 'z') || c == '_'; });
}

}  // namespace

std::shared_ptr<spdlog::sinks::sink> journal_sink() {
  return std::make_shared<JournalSink>();
}

std::vector<std::string> journal_fields(std::string_view line) {
  std::vector<std::string> fields;
  while (!line.empty() && fields.size() < max_fields) {
    const std::size_t equals = line.find_first_of(" =");
    if (equals == std::string_view::npos) break;
    const std::string_view name = line.substr(0, equals);
    const bool member = line[equals] == '=' && is_name(name);
    line.remove_prefix(equals + 1);
    if (!member) continue;
    const bool quoted = line.starts_with('"');
    if (quoted) line.remove_prefix(1);
    const std::size_t end = std::min(line.find(quoted ? '"' : ' '), line.size());
    std::string field = "AVSEAL_";
    for (const char c : name) field.push_back(c == '_' ? c : static_cast<char>(c - 'a' + 'A'));
    fields.push_back(field.append("=").append(line.substr(0, end)));
    line.remove_prefix(std::min(end + 1, line.size()));
  }
  return fields;
}

}  // namespace avseal::service
