#include "ledger/checkpointer.hpp"

#include <algorithm>

#include "ledger/errors.hpp"
#include "ledger/segment_files.hpp"
#include "tlog/checkpoint.hpp"
#include "tlog/note.hpp"

namespace avseal::ledger {

namespace {

constexpr std::uint64_t round_leaves = 65'536;
constexpr std::size_t round_bytes = 64 << 20;
constexpr std::string_view checkpoint_name = "checkpoint";

Published published_of(const Head& head) {
  return {head.origin, head.size, head.root, head.note};
}

Result<tlog::Checkpoint> parse(std::string_view where, std::string_view text) {
  auto note = tlog::Note::parse(text);
  auto checkpoint = note ? tlog::Checkpoint::parse(note->text) : note.error();
  if (checkpoint) return checkpoint;
  return errors::head(fmt::format("{} is no signed checkpoint: {}; it was altered: restore it from a copy", where,
                                  checkpoint.error().detail));
}

// That one of the keys signed it.
Result<void> verify_note(std::string_view where, const Published& checkpoint, std::span<const tlog::VerifierKey> keys) {
  AVSEAL_TRY(const auto note, tlog::Note::parse(checkpoint.note));
  const auto good = tlog::signers(note, keys);
  if (good) return {};
  if (good.error().reason != "note-signature-missing") {
    return errors::head(fmt::format("{} was altered: {}", where, good.error().detail));
  }
  std::string known;
  for (const auto& key : keys) known += fmt::format("{}{}", known.empty() ? "" : ", ", key.text());
  return errors::head(
      fmt::format("{} has no signature of a ledger key that is configured ({}); add the [[keys]] entry "
                  "of the key that signed it, or restore what belongs together",
                  where, known.empty() ? "none is" : known));
}

}  // namespace

Result<std::optional<Published>> read_published(const std::filesystem::path& directory) {
  const std::string name(checkpoint_name);
  const auto source = tlog::open_directory(directory);
  const auto bytes = source->read(name);
  if (!bytes && bytes.error().category == Category::not_found) return std::optional<Published>();
  if (!bytes) return bytes.error();
  AVSEAL_TRY(const auto checkpoint, parse(source->describe(name), as_text(*bytes)));
  return std::optional(Published{checkpoint.origin, checkpoint.size, checkpoint.root, std::string(as_text(*bytes))});
}

Result<std::string> with_signatures(std::string_view note, std::span<const tlog::NoteSignature> more) {
  AVSEAL_TRY(auto signed_note, tlog::Note::parse(note));
  for (const auto& signature : more) {
    std::erase_if(signed_note.signatures, [&](const tlog::NoteSignature& other) {
      return other.name == signature.name && other.key_id == signature.key_id;
    });
    signed_note.signatures.push_back(signature);
  }
  return signed_note.to_string();
}

Result<Checkpointer> Checkpointer::open(Options options, std::uint64_t committed) {
  Checkpointer checkpointer(std::move(options));
  AVSEAL_TRY(const auto found, read_published(checkpointer.options_.directory));
  AVSEAL_CHECK(checkpointer.verify(found, committed));
  return checkpointer;
}

Result<void> Checkpointer::verify(const std::optional<Published>& found, std::uint64_t committed) {
  AVSEAL_TRY(head_, options_.heads->head(options_.origin));
  AVSEAL_CHECK(compare(found, committed));
  if (head_) {
    AVSEAL_TRY(uses_, CheckpointUses::parse(head_->uses));
  }
  if (found) AVSEAL_CHECK(read_edge(*found));
  published_ = found;
  if (found) notes_ = {found->note};
  AVSEAL_TRY(cursor_, SegmentCursor::open(options_.directory, size()));
  if (!is_written()) AVSEAL_CHECK(finish_publication());
  return {};
}

// What store and directory say of each other, before a tile is read.
Result<void> Checkpointer::compare(const std::optional<Published>& found, std::uint64_t committed) const {
  const auto file = (options_.directory / checkpoint_name).string();
  const auto in_store = fmt::format("the head of {} in the store", options_.origin);
  std::vector<tlog::VerifierKey> keys;
  for (const auto& key : options_.keys) {
    AVSEAL_TRY(auto verifier, tlog::VerifierKey::of(options_.origin, key));
    keys.push_back(std::move(verifier));
  }
  if (found && found->origin != options_.origin) {
    return errors::head(
        fmt::format("{} is of the log {}, expected {}; configure the directory that belongs to the origin", file,
                    found->origin, options_.origin));
  }
  if (found) AVSEAL_CHECK(verify_note(file, *found, keys));
  if (!head_ && found) {
    return errors::head(
        fmt::format("{} has {} leaves, but the store remembers no checkpoint of {}: the store is another "
                    "one, or restored from an older copy; restore what belongs together",
                    file, found->size, options_.origin));
  }
  if (!head_) return {};
  AVSEAL_TRY(const auto checkpoint, parse(in_store, head_->note));
  if (checkpoint != tlog::Checkpoint{head_->origin, head_->size, head_->root} || head_->origin != options_.origin) {
    return errors::head(fmt::format("{} was altered: its note is of {} with {} leaves; restore the store from a copy",
                                    in_store, checkpoint.origin, checkpoint.size));
  }
  AVSEAL_CHECK(verify_note(in_store, published_of(*head_), keys));
  const std::uint64_t found_size = found ? found->size : 0;
  if (found_size > head_->size) {
    return errors::head(
        fmt::format("{} has {} leaves, but the store remembers {}: the store was restored from an older "
                    "copy; restore the latest one",
                    file, found_size, head_->size));
  }
  if (found && found_size == head_->size && found->root != head_->root) {
    return errors::head(
        fmt::format("{} and the store disagree about the first {} leaves: one of the two is not of this "
                    "log; keep both for the auditors",
                    file, found_size));
  }
  if (committed < head_->size) {
    return errors::head(
        fmt::format("{} has {} leaves, but a checkpoint of {} was given out: the directory was restored "
                    "from an older copy, or leaves were taken away; restore the latest copy",
                    options_.directory.string(), committed, head_->size));
  }
  return {};
}

Result<void> Checkpointer::read_edge(const Published& found) {
  AVSEAL_TRY(edge_, TreeEdge::read(*tlog::open_directory(options_.directory), found.size));
  if (edge_.root() == found.root) return {};
  return errors::head(
      fmt::format("the tiles in {} do not give the root of {} leaves that the checkpoint says: they were "
                  "altered; restore them from a copy",
                  options_.directory.string(), found.size));
}

// The head was remembered, then its files were not all written. The leaves are in the segments still.
Result<void> Checkpointer::finish_publication() {
  AVSEAL_CHECK(read_leaves(head_->size, SIZE_MAX));
  if (edge_.size() != head_->size || edge_.root() != head_->root) {
    return errors::head(
        fmt::format("the first {} leaves in {} are not those of the checkpoint that was given out: the "
                    "directory was restored from an older copy and written to, or altered; restore the "
                    "latest copy, and keep this one for the auditors",
                    head_->size, options_.directory.string()));
  }
  unwritten_ = edge_.take_files();
  return write_files();
}

Result<void> Checkpointer::publish(std::uint64_t committed, CheckpointSigner& signer) {
  AVSEAL_CHECK(check_directory());
  AVSEAL_CHECK(settle_attempt());
  if (is_written()) AVSEAL_CHECK(make(committed, signer));
  return is_written() ? Result<void>() : write_files();
}

bool Checkpointer::is_for_good(const Error& error) {
  constexpr std::array<std::string_view, 3> reasons = {"ledger-head", "ledger-corrupt", "ledger-unavailable"};
  return std::find(reasons.begin(), reasons.end(), error.reason) != reasons.end();
}

Result<void> Checkpointer::make(std::uint64_t committed, CheckpointSigner& signer) {
  AVSEAL_CHECK(read_leaves(std::min(committed, size() + round_leaves), round_bytes));
  if (edge_.size() == size()) return {};
  AVSEAL_TRY(auto next, sign(signer));
  return remember(std::move(next));
}

Result<Head> Checkpointer::sign(CheckpointSigner& signer) {
  Head head{options_.origin, edge_.size(), edge_.root(), {}, {}};
  tlog::Note note{tlog::Checkpoint{head.origin, head.size, head.root}.text(), {}};
  const CheckpointPermit permit;
  AVSEAL_TRY(const auto signatures, signer.sign(permit, note.text));
  for (const auto& signature : signatures) {
    for (const auto& use : signature.uses) uses_.add(use);
    AVSEAL_TRY(const auto key, tlog::VerifierKey::of(head.origin, signature.key));
    AVSEAL_TRY(auto line, tlog::ecdsa_signature(key, signature.raw));
    AVSEAL_CHECK(key.verify(note.text, line.bytes));
    note.signatures.push_back(std::move(line));
  }
  head.note = note.to_string();
  head.uses = uses_.text();
  return head;
}

Result<void> Checkpointer::remember(Head next) {
  attempt_ = std::move(next);
  AVSEAL_CHECK(options_.heads->replace(head_, *attempt_));
  head_ = std::exchange(attempt_, std::nullopt);
  unwritten_ = edge_.take_files();
  return {};
}

Result<void> Checkpointer::settle_attempt() {
  if (!attempt_) return {};
  AVSEAL_TRY(const auto remembered, options_.heads->head(options_.origin));
  if (remembered == attempt_) {
    head_ = attempt_;
    unwritten_ = edge_.take_files();
  } else if (remembered != head_) {
    return errors::head(
        fmt::format("the head of {} in the store is not the one of this process: another process writes "
                    "the same log; stop it, and give each node an origin of its own",
                    options_.origin));
  }
  attempt_.reset();
  return {};
}

Result<void> Checkpointer::read_leaves(std::uint64_t end, std::size_t most_bytes) {
  while (cursor_->next() < end && edge_.bytes() < most_bytes) {
    AVSEAL_CHECK(cursor_->read([this](ByteView leaf, const tlog::Hash& hash) { edge_.append(leaf, hash); }));
  }
  return {};
}

Result<void> Checkpointer::write_files() {
  AVSEAL_CHECK(files_.write(unwritten_));
  AVSEAL_CHECK(write_checkpoint(head_->note));
  const auto before = size();
  published_ = published_of(*head_);
  unwritten_.clear();
  clean(before);
  return {};
}

Result<void> Checkpointer::write_checkpoint(std::string_view note) {
  const auto bytes = as_bytes(note);
  const LogFile checkpoint{std::string(checkpoint_name), {bytes.begin(), bytes.end()}};
  notes_.emplace_back(note);
  AVSEAL_CHECK(files_.write({&checkpoint, 1}));
  notes_ = {std::string(note)};
  return {};
}

Result<void> Checkpointer::add(std::span<const tlog::NoteSignature> cosignatures) {
  AVSEAL_CHECK(check_directory());
  AVSEAL_TRY(auto text, with_signatures(published_->note, cosignatures));
  AVSEAL_CHECK(write_checkpoint(text));
  published_->note = std::move(text);
  return {};
}

// Somebody who puts another copy in the directory's place must not go unnoticed.
Result<void> Checkpointer::check_directory() {
  const auto bytes = tlog::open_directory(options_.directory)->read(std::string(checkpoint_name));
  if (!bytes && bytes.error().category != Category::not_found) return bytes.error();  // which says nothing of it
  const auto found = bytes ? std::find(notes_.begin(), notes_.end(), as_text(*bytes)) : notes_.end();
  if (found != notes_.end()) {
    notes_ = {*found};
    return {};
  }
  if (!bytes && !published_) return {};
  return errors::head(
      fmt::format("{} is not what this process published: somebody else changed the directory; keep it "
                  "for the auditors",
                  (options_.directory / checkpoint_name).string()));
}

// What the published checkpoint makes superfluous.
void Checkpointer::clean(std::uint64_t before) {
  for (unsigned level = 0; tlog::full_tiles(level, size()) != 0; ++level) {
    const auto first = tlog::full_tiles(level, before);
    if (tlog::full_tiles(level, size()) == first) continue;
    files_.remove_partials(tlog::path_of({level, first}));
    if (level == 0) files_.remove_partials(tlog::path_of({std::nullopt, first}));
  }
  const auto segment = cursor_->segment();
  if (segment <= oldest_segment_ || segment >= size()) return;
  const auto starts = segment_starts(options_.directory);
  if (!starts) return;
  for (const auto start : *starts) {
    if (start < segment) files_.remove(segment_name(start));
  }
  oldest_segment_ = segment;
}

}  // namespace avseal::ledger
