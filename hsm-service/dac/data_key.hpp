// The associated data under which dac-kek wraps data keys: what a data key belongs to.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace avseal::dac {

// Avatar-ids and digests hold no line breaks, so each text names one combination.
inline std::string staged_key_aad(std::string_view avatar_id, std::string_view content_digest, std::int64_t size) {
  return "avseal-dac-staged-v1\n" + std::string(avatar_id) + '\n' + std::string(content_digest) + '\n' +
         std::to_string(size);
}

inline std::string published_key_aad(std::string_view avatar_id, std::int64_t version, std::string_view content_digest,
                                     std::int64_t size) {
  return "avseal-dac-published-v1\n" + std::string(avatar_id) + '\n' + std::to_string(version) + '\n' +
         std::string(content_digest) + '\n' + std::to_string(size);
}

}  // namespace avseal::dac
