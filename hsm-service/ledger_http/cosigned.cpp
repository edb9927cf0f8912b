#include "ledger_http/cosigned.hpp"

#include <algorithm>

namespace avseal::ledger_http {

void Cosigned::use(std::vector<tlog::VerifierKey> witnesses) {
  const std::lock_guard lock(mutex_);
  witnesses_ = std::move(witnesses);
}

void Cosigned::add(const ledger::Published& checkpoint, const tlog::NoteSignature& signature) {
  auto note = tlog::Note::parse(checkpoint.note);
  if (!note) return;
  const std::lock_guard lock(mutex_);
  auto at = std::find_if(candidates_.begin(), candidates_.end(),
                         [&](const auto& candidate) { return candidate.note.text == note->text; });
  if (at == candidates_.end()) {
    if (candidates_.size() == max_checkpoints) candidates_.pop_front();
    at = candidates_.insert(candidates_.end(), {checkpoint, std::move(*note)});
  }
  std::erase_if(at->note.signatures, [&](const tlog::NoteSignature& other) {
    return other.name == signature.name && other.key_id == signature.key_id;
  });
  at->note.signatures.push_back(signature);
}

bool Cosigned::awaited() const {
  const std::lock_guard lock(mutex_);
  return !witnesses_.empty();
}

std::optional<ledger::Published> Cosigned::covering(std::string_view origin, std::uint64_t index) const {
  const std::lock_guard lock(mutex_);
  std::optional<ledger::Published> found;
  for (const auto& [checkpoint, note] : candidates_) {
    if (checkpoint.origin != origin || checkpoint.size <= index || !all_signed(note)) continue;
    if (found && found->size >= checkpoint.size) continue;
    found = checkpoint;
    found->note = note.to_string();
  }
  return found;
}

bool Cosigned::all_signed(const tlog::Note& note) const {
  return !witnesses_.empty() && std::all_of(witnesses_.begin(), witnesses_.end(), [&](const auto& witness) {
    return std::any_of(note.signatures.begin(), note.signatures.end(),
                       [&](const auto& signature) { return witness.made(signature); });
  });
}

}  // namespace avseal::ledger_http
