// What the doctor found: the one thing that its checks produce.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tokens/result.hpp"

namespace avseal::doctor {

enum class Severity {
  ok,       // as it should be
  note,     // a fact that somebody may want to know
  warning,  // works today; look at it
  error,    // does not work, or is not safe
};
std::string_view to_string(Severity severity);

struct Finding {
  std::string id;  // stable, kebab-case; docs/operations.md lists those that are not ok
  Severity severity = Severity::ok;
  std::string subject;   // "hsm-a/avatar-id", a file, a client
  std::string found;     // never a secret
  std::string expected;  // what was expected, and
  std::string action;    // what to do next; both empty where all is well
};

class Findings {
 public:
  void ok(std::string id, std::string subject, std::string found);
  void note(std::string id, std::string subject, std::string found, std::string action = {});
  void warning(std::string id, std::string subject, std::string found, std::string expected, std::string action);
  void error(std::string id, std::string subject, std::string found, std::string expected, std::string action);
  // An Error: its reason is the id, and its detail says what was found, expected and can be done.
  void error(const Error& error, std::string subject, std::string expected, std::string action);
  void append(Findings others);

  [[nodiscard]] const std::vector<Finding>& all() const { return all_; }
  [[nodiscard]] Severity worst() const;
  [[nodiscard]] std::size_t count(Severity severity) const;

 private:
  std::vector<Finding> all_;
};

}  // namespace avseal::doctor
