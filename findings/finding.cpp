#include "findings/finding.hpp"

#include <algorithm>
#include <iterator>

namespace avseal::doctor {

std::string_view to_string(Severity severity) {
  switch (severity) {
    case Severity::ok:
      return "ok";
    case Severity::note:
      return "note";
    case Severity::warning:
      return "warning";
    case Severity::error:
      return "error";
  }
  return "error";
}

void Findings::ok(std::string id, std::string subject, std::string found) {
  all_.push_back({std::move(id), Severity::ok, std::move(subject), std::move(found), {}, {}});
}

void Findings::note(std::string id, std::string subject, std::string found, std::string action) {
  all_.push_back({std::move(id), Severity::note, std::move(subject), std::move(found), {}, std::move(action)});
}

void Findings::warning(std::string id, std::string subject, std::string found, std::string expected,
                       std::string action) {
  all_.push_back(
      {std::move(id), Severity::warning, std::move(subject), std::move(found), std::move(expected), std::move(action)});
}

void Findings::error(std::string id, std::string subject, std::string found, std::string expected, std::string action) {
  all_.push_back(
      {std::move(id), Severity::error, std::move(subject), std::move(found), std::move(expected), std::move(action)});
}

void Findings::error(const Error& error, std::string subject, std::string expected, std::string action) {
  this->error(std::string(error.reason), std::move(subject), error.detail, std::move(expected), std::move(action));
}

void Findings::append(Findings others) {
  std::move(others.all_.begin(), others.all_.end(), std::back_inserter(all_));
}

Severity Findings::worst() const {
  Severity worst = Severity::ok;
  for (const auto& finding : all_) worst = std::max(worst, finding.severity);
  return worst;
}

std::size_t Findings::count(Severity severity) const {
  return static_cast<std::size_t>(
      std::count_if(all_.begin(), all_.end(), [severity](const auto& f) { return f.severity == severity; }));
}

}  // namespace avseal::doctor
