#include "tlog/witness.hpp"

#include <fmt/format.h>

#include "tlog/errors.hpp"
#include "tlog/lines.hpp"

namespace avseal::tlog {

namespace {

constexpr std::size_t max_hashes = 63;

Error malformed(std::string detail) {
  return errors::malformed("request-malformed", std::move(detail));
}

}  // namespace

std::string AddCheckpoint::to_string() const {
  std::string text = fmt::format("old {}\n", old_size);
  for (const auto& hash : proof) text += hash_text(hash) + '\n';
  return text + '\n' + note.to_string();
}

Result<AddCheckpoint> AddCheckpoint::parse(std::string_view body) {
  const auto blank = body.find("\n\n");
  if (blank == std::string_view::npos) return malformed("expected an empty line before the checkpoint");
  Lines lines(body.substr(0, blank + 1));
  const auto first = lines.next();
  if (!first || !first->starts_with("old ")) return malformed("expected a first line with the old size");
  AddCheckpoint request;
  const auto old_size = parse_size(first->substr(4));
  if (!old_size) return malformed("expected a decimal number behind old");
  request.old_size = *old_size;
  while (const auto line = lines.next()) {
    const auto hash = parse_hash(*line);
    if (!hash || request.proof.size() == max_hashes) return malformed("expected at most 63 hashes in base64");
    request.proof.push_back(*hash);
  }
  AVSEAL_TRY(request.note, Note::parse(body.substr(blank + 2)));
  return request;
}

Result<std::vector<NoteSignature>> parse_cosignatures(std::string_view body) {
  std::vector<NoteSignature> signatures;
  Lines lines(body);
  while (const auto line = lines.next()) {
    AVSEAL_TRY(auto signature, NoteSignature::parse(*line));
    if (signatures.size() == max_note_signatures) return errors::malformed("note-malformed", "too many signatures");
    signatures.push_back(std::move(signature));
  }
  if (signatures.empty() || !body.ends_with('\n')) {
    return errors::malformed("note-malformed", "expected signature lines, each ended by a line feed");
  }
  return signatures;
}

}  // namespace avseal::tlog
