#include <algorithm>
#include <fstream>
#include <set>

#include <fmt/format.h>

#include "audit/csv.hpp"
#include "audit/export.hpp"
#include "audit/named_keys.hpp"
#include "audit/rules.hpp"
#include "tlog/export_manifest.hpp"
#include "tokens/base64.hpp"

namespace avseal::audit {

namespace {

using tlog::tile_width;

constexpr std::size_t digest_columns = 64;
constexpr std::size_t piece = 1 << 16;
constexpr std::size_t max_text = 1 << 20;  // bytes of a file that is not read piece by piece
constexpr std::size_t max_line = 1 << 12;  // of SHA256SUMS

Result<std::string> read_text(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  std::string text(max_text + 1, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(in.gcount()));
  if (in.is_open() && !in.bad() && text.size() <= max_text) return text;
  return errors::make(Category::not_found, "export-unreadable",
                      fmt::format("cannot read {}: expected a file of at most {} bytes", file.string(), max_text));
}

// In hex; empty: there is no such file.
std::string digest_of(const std::filesystem::path& file) {
  std::error_code failed;
  if (!std::filesystem::is_regular_file(file, failed)) return {};
  std::ifstream in(file, std::ios::binary);
  tokens::Sha256Stream digest;
  std::string buffer(piece, '\0');
  while (in.read(buffer.data(), static_cast<std::streamsize>(buffer.size())) || in.gcount() > 0) {
    digest.update(as_bytes(std::string_view(buffer).substr(0, static_cast<std::size_t>(in.gcount()))));
  }
  return tokens::hex_encode(digest.finish());
}

class ExportCheck {
 public:
  ExportCheck(const std::filesystem::path& directory, const Trust& trust, Verdict& verdict)
      : directory_(directory), trust_(trust), verdict_(verdict), history_(verdict) {}

  Result<Verified> run(std::span<const HeldNote> held, const Progress& progress);

 private:
  Result<void> read_manifest();
  void check_manifest_signature(const tlog::Note& note);
  void check_files();
  void check_file(const std::string& path, const std::string& digest, std::string_view otherwise);
  void find_unlisted(const std::set<std::string>& listed);
  bool check_checkpoint(std::string& text);
  void check_earlier();
  void hold(const std::string& place, std::string_view note);
  void compare(const std::string& place, const tlog::Checkpoint& old);
  void check_certificates();
  void check_bundle(const tlog::Source& source, tlog::TileNodes& nodes, std::uint64_t start);
  void copy(std::span<const ByteView> entries);
  void check_copies();
  void unproved(std::uint64_t leaf, std::string found);

  const std::filesystem::path& directory_;
  const Trust& trust_;
  Verdict& verdict_;
  History history_;
  tlog::ExportManifest manifest_;
  NamedKeys keys_;
  Leaf leaf_;
  tokens::Sha256Stream csv_;  // what entries.csv and entries.jsonl have to be
  tokens::Sha256Stream lines_;
  bool copied_ = true;
};

Result<Verified> ExportCheck::run(std::span<const HeldNote> held, const Progress& progress) {
  AVSEAL_CHECK(read_manifest());
  const auto& head = manifest_.checkpoint;
  Verified out;
  out.origin = head.origin;
  out.size = head.size;
  out.root = head.root;
  out.part = {manifest_.from, manifest_.to};
  check_files();
  if (!check_checkpoint(out.note)) return out;
  const auto source = tlog::open_directory(directory_);
  check_earlier();
  for (const auto& note : held) hold(fmt::format("checkpoint {}", note.name), note.note);
  history_.begin(head.origin, manifest_.from != 0);
  csv_.update(as_bytes(csv_header));
  const auto first = manifest_.from / tile_width;
  const auto end = (manifest_.to + tile_width - 1) / tile_width;
  for (auto index = first; index < end; ++index) {
    tlog::TileNodes nodes(head.size, [&](const tlog::TileName& name) { return source->tile(name); });
    check_bundle(*source, nodes, index * tile_width);
    if (progress) progress(index + 1 - first, end - first);
  }
  check_copies();
  check_certificates();
  out.read = manifest_.to - manifest_.from;
  out.periods = 1;
  out.uses = history_.uses();
  out.first_time = history_.first_time();
  out.last_time = history_.last_time();
  return out;
}

Result<void> ExportCheck::read_manifest() {
  AVSEAL_TRY(const auto text, read_text(directory_ / "manifest"));
  const auto note = tlog::Note::parse(text);
  AVSEAL_TRY(manifest_, tlog::ExportManifest::parse(note ? note->text : text));
  if (note) {
    check_manifest_signature(*note);
  } else {
    verdict_.note("manifest-unsigned", "manifest",
                  "the export was made without the node: its entries, and their copies for reading, prove themselves; "
                  "nobody vouches for other files in it");
  }
  return {};
}

void ExportCheck::check_manifest_signature(const tlog::Note& note) {
  const auto keys = trust_.keys_of(manifest_.checkpoint.origin);
  const auto signers = tlog::signers(note, keys);
  if (!signers) verdict_.broken(rules::export_differs, "manifest", signers.error().detail);
}

void ExportCheck::check_files() {
  std::set<std::string> listed{"manifest"};
  for (const auto& file : manifest_.files) {
    check_file(file.path, tokens::hex_encode(file.sha256), "another digest than the manifest has");
    listed.insert(file.path);
  }
  std::ifstream sums(directory_ / "SHA256SUMS");
  std::string buffer(max_line, '\0');
  while (sums.getline(buffer.data(), static_cast<std::streamsize>(buffer.size()))) {
    const std::string line(buffer.c_str());
    const auto path = line.size() > digest_columns + 2 ? line.substr(digest_columns + 2) : std::string();
    if (path.empty() || path.front() == '/' || path.find("..") != std::string::npos) {
      verdict_.broken(rules::export_differs, "SHA256SUMS", "a line without a digest and the path of a file here");
      continue;
    }
    check_file(path, line.substr(0, digest_columns), "another digest than SHA256SUMS has");
    listed.insert(path);
  }
  if (sums.is_open() && !sums.eof()) verdict_.broken(rules::export_differs, "SHA256SUMS", "a line that is too long");
  find_unlisted(listed);
}

void ExportCheck::check_file(const std::string& path, const std::string& digest, std::string_view otherwise) {
  const auto found = digest_of(directory_ / path);
  if (found.empty()) return verdict_.broken(rules::export_differs, path, "it is missing");
  if (found != digest) verdict_.broken(rules::export_differs, path, std::string(otherwise));
}

// Whoever looks for them finds more here than was exported.
void ExportCheck::find_unlisted(const std::set<std::string>& listed) {
  std::error_code failed;
  std::error_code none;
  std::filesystem::recursive_directory_iterator file(directory_, failed);
  for (; !failed && file != std::filesystem::recursive_directory_iterator(); file.increment(failed)) {
    if (std::filesystem::is_directory(file->symlink_status(none))) continue;
    const auto path = file->path().lexically_relative(directory_).string();
    if (!listed.contains(path)) {
      verdict_.broken(rules::export_differs, path, "neither the manifest nor SHA256SUMS lists it");
    }
  }
  if (failed) verdict_.broken(rules::export_differs, directory_.string(), failed.message());
}

bool ExportCheck::check_checkpoint(std::string& text) {
  const auto note = read_text(directory_ / "checkpoint");
  if (note) text = *note;
  const auto checkpoint = note ? trust_.check(*note) : Result<tlog::Checkpoint>(note.error());
  if (checkpoint && *checkpoint == manifest_.checkpoint) return true;
  verdict_.broken(rules::checkpoint_unsigned, "checkpoint",
                  checkpoint ? std::string("it is not the one that the manifest names") : checkpoint.error().detail);
  return false;
}

void ExportCheck::check_earlier() {
  std::error_code none;
  for (const auto& entry : std::filesystem::directory_iterator(directory_ / "earlier", none)) {
    const auto place = "earlier/" + entry.path().filename().string();
    if (const auto note = read_text(entry.path())) {
      hold(place, *note);
    } else {
      verdict_.broken(rules::checkpoint_unsigned, place, note.error().detail);
    }
  }
}

void ExportCheck::hold(const std::string& place, std::string_view note) {
  const auto old = trust_.check(note);
  if (!old) return verdict_.broken(rules::checkpoint_unsigned, place, old.error().detail);
  const auto& origin = manifest_.checkpoint.origin;
  if (old->origin == origin) return compare(place, *old);
  verdict_.broken(rules::checkpoint_of_other_log, place,
                  fmt::format("it is of {}, and the export of {}", old->origin, origin));
}

void ExportCheck::compare(const std::string& place, const tlog::Checkpoint& old) {
  const auto& head = manifest_.checkpoint;
  if (old.size == head.size && old.root != head.root) {
    return verdict_.broken(rules::log_forked, place,
                           fmt::format("it and the export's checkpoint sign two roots for {} leaves", old.size));
  }
  if (old.size > head.size) {
    return verdict_.broken(rules::checkpoint_unproved, place,
                           fmt::format("it signs {} leaves, and the export's checkpoint {}", old.size, head.size));
  }
  const auto source = tlog::open_directory(directory_);
  tlog::TileNodes nodes(head.size, [&](const tlog::TileName& name) { return source->tile(name); });
  const auto proof = tlog::consistency_proof(old.size, head.size, std::ref(nodes));
  if (!proof) return verdict_.broken(rules::checkpoint_unproved, place, proof.error().detail);
  const auto holds = tlog::verify_consistency(old.size, old.root, head.size, head.root, *proof);
  if (!holds) return verdict_.broken(rules::log_rewritten, place, holds.error().detail);
  verdict_.ok("checkpoint-continued", place, fmt::format("the log continues its {} leaves", old.size));
}

// One proof stands for all hashes of its tile, for the others are in it or it is made of them.
void ExportCheck::check_bundle(const tlog::Source& source, tlog::TileNodes& nodes, std::uint64_t start) {
  const auto& head = manifest_.checkpoint;
  const auto name = tlog::tile_at(std::nullopt, start, head.size);
  const auto bytes = source.tile(name);
  if (!bytes) return unproved(start, bytes.error().detail);
  const auto entries = tlog::read_bundle(*bytes, name.width);
  if (!entries) return unproved(start, entries.error().detail);
  const auto proof = tlog::inclusion_proof(start, head.size, std::ref(nodes));
  const auto proved =
      proof ? tlog::verify_inclusion(start, head.size, tlog::leaf_hash(entries->front()), head.root, *proof)
            : Result<void>(proof.error());
  if (!proved) return unproved(start, proved.error().detail);
  for (std::size_t i = 0; i < entries->size(); ++i) {
    const auto hash = nodes(0, start + i);
    if (!hash || *hash != tlog::leaf_hash((*entries)[i])) unproved(start + i, "it has another hash than its place");
  }
  const auto from = std::max(start, manifest_.from);
  const auto to = std::min(start + entries->size(), manifest_.to);
  const auto range =
      std::span(*entries).subspan(static_cast<std::size_t>(from - start), static_cast<std::size_t>(to - from));
  const auto facts = facts_of(range, from, leaf_);
  add_named_keys(facts, keys_);
  history_.take(facts);
  copy(range);
}

void ExportCheck::copy(std::span<const ByteView> entries) {
  std::string csv;
  for (const auto entry : entries) {
    copied_ = copied_ && read_leaf(entry, leaf_);
    if (copied_) append_csv_row(csv, leaf_);
    lines_.update(entry);
    lines_.update(as_bytes("\n"));
  }
  csv_.update(as_bytes(csv));
}

// People read these instead of the entries. Of a malformed leaf there is no copy.
void ExportCheck::check_copies() {
  const auto csv = tokens::hex_encode(csv_.finish());
  const auto lines = tokens::hex_encode(lines_.finish());
  if (!copied_) return;
  check_file("entries.csv", csv, "another text than the entries give");
  check_file("entries.jsonl", lines, "another text than the entries give");
}

void ExportCheck::check_certificates() {
  for (const auto& key : trust_.keys_of(manifest_.checkpoint.origin)) {
    const auto public_key = public_key_of(key);
    if (public_key) keys_.try_emplace(public_key->thumbprint(), NamedKey{"(of the log)", {}});
  }
  std::error_code none;
  for (const auto& entry : std::filesystem::directory_iterator(directory_ / "certificates", none)) {
    const auto place = "certificates/" + entry.path().filename().string();
    const auto pem = read_text(entry.path());
    const auto certificate = pem ? tokens::Certificate::from_pem(*pem) : Result<tokens::Certificate>(pem.error());
    if (!certificate) {
      verdict_.broken(rules::export_certificate, place, certificate.error().detail);
      continue;
    }
    const auto kid = certificate->public_key().thumbprint();
    const auto key = keys_.find(kid);
    if (key == keys_.end()) {
      verdict_.broken(rules::export_certificate, place, "no entry names its key, which has the thumbprint " + kid);
    } else {
      verdict_.ok("certificate-of-key", place,
                  fmt::format("of key {}: subject {}, issuer {}", key->second.name, certificate->subject(),
                              certificate->issuer()));
    }
  }
}

void ExportCheck::unproved(std::uint64_t leaf, std::string found) {
  copied_ = false;
  verdict_.broken(rules::export_unproved, fmt::format("leaf {}", leaf), std::move(found));
}

}  // namespace

bool looks_like_export(const std::filesystem::path& directory) {
  std::error_code failed;
  return std::filesystem::exists(directory / "manifest", failed) &&
         std::filesystem::exists(directory / "SHA256SUMS", failed);
}

Result<Verified> check_export(const std::filesystem::path& directory, const Trust& trust,
                              std::span<const HeldNote> held, Verdict& verdict, const Progress& progress) {
  return ExportCheck(directory, trust, verdict).run(held, progress);
}

}  // namespace avseal::audit
