#pragma once

#include <optional>

#include "tlog/checkpoint.hpp"
#include "tlog/note.hpp"

namespace avseal::audit {

// A key that the entries name, and its certificate.
struct CertifiedKey {
  std::string kid;
  std::string name;
  std::optional<std::uint64_t> first_use;  // entry
  std::string certificate;                 // its file; empty: none was at hand
  tokens::Algorithm algorithm;             // of a certificate
};

// What the README of an export shows how to check.
struct ExportReadme {
  tlog::Checkpoint checkpoint;
  std::size_t signature_line = 0;  // of the log's key, in the file `checkpoint`, from 1
  std::optional<tlog::VerifierKey> key = {};
  std::uint64_t from = 0;
  std::uint64_t to = 0;
  bool is_signed = false;
  std::vector<std::uint64_t> earlier;  // sizes

  // The entry that is shown: where it stands in the file of its bundle, and its way to the root.
  std::string bundle;
  std::size_t offset = 0;
  std::size_t length = 0;
  std::vector<tlog::Hash> proof;

  std::vector<CertifiedKey> keys;
  UnixSeconds last_time = 0;  // of the last entry
};

// Lines that begin with four spaces are shell commands, to be run one after the other in the export's directory.
std::string readme_text(const ExportReadme& with);

}  // namespace avseal::audit
