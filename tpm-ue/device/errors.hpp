#pragma once

#include "tokens/result.hpp"

namespace avseal::device::errors {

Error not_initialised(std::string_view directory);
Error directory_unusable(std::string_view directory, std::string_view why);  // "state-directory-unusable"
Error file_unusable(std::string_view path, std::string_view why);            // "state-file-unusable"
Error permissions(std::string_view path);                                    // "state-permissions"
Error busy(std::string_view directory);                              // another process initialises, imports or enrolls
Error state_malformed(std::string_view path, std::string_view why);  // "state-malformed"
Error key_mismatch(std::string_view path);                           // key file is not the one that was pinned
Error auth_malformed(std::string_view path);
Error no_certificate();
Error certificate_refused(std::string_view why);  // "ue-certificate-refused"
Error not_enrolled();
Error answer_malformed(std::string_view why);  // "enrollment-answer-malformed"
Error server_mismatch(std::string_view found, std::string_view expected);
Error wrong_order();                             // the calls of an Enrollment
Error no_ek_certificate(std::string_view type);  // type: empty if none of any type is there
Error ak_mismatch();
Error lifetime_refused(std::int64_t seconds, std::int64_t most);

}  // namespace avseal::device::errors
