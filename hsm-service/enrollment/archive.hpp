// Evidence of enrolments at rest: the only place where EK certificates and serial numbers are kept. One file per UE
// certificate, named by its serial:
//   "avseal-evidence-v1" || u16 length || data key wrapped by dac-kek || 12-byte nonce || AES-256-GCM of JSON || tag
// The nonce and the wrapped key are the associated data, and the wrapped key is bound to the file's name.
#pragma once

#include <filesystem>

#include "keyring/keyring.hpp"

namespace avseal::enrollment {

class Archive {
 public:
  Archive(keyring::Keyring& keyring, std::filesystem::path directory)
      : keyring_(keyring), directory_(std::move(directory)) {}

  // On disk when this resumes; gives the hex SHA-256 of the file. Reasons "evidence-storage" (unavailable) and those of
  // Keyring::wrap().
  boost::asio::awaitable<Result<std::string>> put(std::string serial_hex, boost::json::object evidence,
                                                  keyring::Deadline deadline);
  // Reasons "evidence-unknown" (not_found), "evidence-altered", and those of Keyring::unwrap().
  boost::asio::awaitable<Result<boost::json::value>> get(std::string serial_hex, keyring::Deadline deadline);
  void remove(const std::string& serial_hex);  // of a certificate that was not released

 private:
  [[nodiscard]] std::filesystem::path file_of(const std::string& serial_hex) const;

  keyring::Keyring& keyring_;
  std::filesystem::path directory_;
};

}  // namespace avseal::enrollment
