// A range of a log as files that can be checked without the log: the entries, and what leads from them to the root of a
// checkpoint.
//
//   README                      how to check it with openssl and coreutils alone
//   manifest                    a note signed with the log's key, or only its text (tlog/export_manifest.hpp)
//   SHA256SUMS                  of all other files
//   checkpoint, log.pem, policy of the log: its head, its key, whom to believe
//   tile/..., tile/entries/...  as in the log, as far as the range needs them
//   first.tlog-proof            the receipt of the first entry
//   earlier/<size>.checkpoint   checkpoints that the exporter held; the tiles prove that the log continues them
//   certificates/<SHA-256>.pem  of keys that the entries name, and of the log's, under the names that a node serves
//   them entries.csv, entries.jsonl  the entries of the range, for reading
#pragma once

#include <functional>

#include "audit/verify.hpp"
#include "tokens/certificate.hpp"

namespace avseal::audit {

using Chain = std::vector<tokens::Certificate>;  // the key's own first

struct CertificateFile {
  std::string name;  // for people
  Chain chain;
};

struct ExportOptions {
  std::uint64_t from = 0;
  std::uint64_t to = 0;                            // the first that is not included
  std::vector<std::string> earlier;                // notes of checkpoints of the log
  std::filesystem::path directory;                 // made; must be empty
  bool is_signed = false;                          // the manifest will be
  std::chrono::milliseconds patience{0};           // with the witnesses of a log that grows: see Trust::read()
  std::vector<CertificateFile> certificates = {};  // each of a key that the entries name, or of the log's
  // Asked for the other keys that signed, by thumbprint; an empty chain: there is none. May be empty.
  std::function<Result<Chain>(const std::string& kid)> find_certificate = {};
};

struct Exported {
  std::string manifest;                  // its text
  std::vector<std::string> uncertified;  // keys that signed, for people: no certificate of them was at hand
};

// Writes all but `manifest`. Nothing is written that does not lead to the root of the checkpoint. Reasons
// "export-range", "export-directory", "export-source", "export-certificate"; those of the source and the trust.
Result<Exported> export_range(const tlog::Source& source, const tlog::Policy& policy, const ExportOptions& options,
                              const Progress& progress);

// Has the files by which an export is known. That it is one, and no log, only who asks for the verdict can say.
bool looks_like_export(const std::filesystem::path& directory);
// Holds the files of an export to its manifest, its checkpoint, those in `held`, and the rules of leaves, as far as a
// part of a log can be. Findings go to the verdict; an Error says why it could not be judged.
Result<Verified> check_export(const std::filesystem::path& directory, const Trust& trust,
                              std::span<const HeldNote> held, Verdict& verdict, const Progress& progress);

}  // namespace avseal::audit
