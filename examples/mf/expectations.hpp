// What each media session must show, as the IMS AS told this MF. The XR AS has no say in it.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "tokens/result.hpp"

namespace avseal::mf {

struct Expected {
  std::string avatar_id;
  std::int64_t min_version = 1;
};

class Expectations {
 public:
  // "AVATAR-ID,MIN-VERSION" for every session; reason "expectation-malformed".
  static Result<Expectations> from_option(std::string_view text);
  // A file that the IMS AS writes, read again for each session: {"<session>":{"avatar":"<id>","version":N},..}
  static Expectations from_file(std::filesystem::path path);

  // Reason "session-unknown": nobody announced this session.
  [[nodiscard]] Result<Expected> of(std::string_view session) const;

 private:
  std::optional<Expected> any_;
  std::filesystem::path file_;
};

}  // namespace avseal::mf
