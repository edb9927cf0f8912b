#include <algorithm>
#include <fstream>
#include <iterator>

#include <fmt/format.h>

#include "audit/export.hpp"
#include "audit/rules.hpp"
#include "tlog/export_manifest.hpp"
#include "tokens/base64.hpp"

namespace avseal::audit {

namespace {

using tlog::tile_width;

constexpr std::size_t digest_columns = 64;
constexpr std::size_t piece = 1 << 16;

Result<std::string> read_text(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  std::string text{std::istreambuf_iterator<char>(in), {}};
  if (in.is_open() && !in.bad()) return text;
  return errors::make(Category::not_found, "export-unreadable", fmt::format("cannot read {}", file.string()));
}

std::string digest_of(const std::filesystem::path& file) {
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

  Result<Verified> run(const Progress& progress);

 private:
  Result<void> read_manifest();
  void check_manifest_signature(const tlog::Note& note);
  void check_files();
  bool check_checkpoint(std::string& text);
  void check_earlier();
  void check_bundle(const tlog::Source& source, tlog::TileNodes& nodes, std::uint64_t start);
  void unproved(std::uint64_t leaf, std::string found);

  const std::filesystem::path& directory_;
  const Trust& trust_;
  Verdict& verdict_;
  History history_;
  tlog::ExportManifest manifest_;
  Leaf leaf_;
};

Result<Verified> ExportCheck::run(const Progress& progress) {
  AVSEAL_CHECK(read_manifest());
  const auto& head = manifest_.checkpoint;
  Verified out;
  out.origin = head.origin;
  out.size = head.size;
  out.root = head.root;
  check_files();
  if (!check_checkpoint(out.note)) return out;
  const auto source = tlog::open_directory(directory_);
  check_earlier();
  history_.begin(head.origin, manifest_.from != 0);
  const auto first = manifest_.from / tile_width;
  const auto end = (manifest_.to + tile_width - 1) / tile_width;
  for (auto index = first; index < end; ++index) {
    tlog::TileNodes nodes(head.size, [&](const tlog::TileName& name) { return source->tile(name); });
    check_bundle(*source, nodes, index * tile_width);
    if (progress) progress(index + 1 - first, end - first);
  }
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
                  "the export was made without the node: its entries prove themselves");
  }
  return {};
}

void ExportCheck::check_manifest_signature(const tlog::Note& note) {
  const auto keys = trust_.keys_of(manifest_.checkpoint.origin);
  const auto signers = tlog::signers(note, keys);
  if (!signers) verdict_.broken(rules::export_differs, "manifest", signers.error().detail);
}

void ExportCheck::check_files() {
  for (const auto& file : manifest_.files) {
    if (digest_of(directory_ / file.path) == tokens::hex_encode(file.sha256)) continue;
    verdict_.broken(rules::export_differs, file.path, "another digest than the manifest has");
  }
  std::ifstream sums(directory_ / "SHA256SUMS");
  for (std::string line; std::getline(sums, line);) {
    const auto path = line.size() > digest_columns + 2 ? line.substr(digest_columns + 2) : std::string();
    const bool inside = !path.empty() && path.front() != '/' && path.find("..") == std::string::npos;
    if (inside && digest_of(directory_ / path) == line.substr(0, digest_columns)) continue;
    verdict_.broken(rules::export_differs, path.empty() ? "SHA256SUMS" : path, "another digest than SHA256SUMS has");
  }
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
  const auto source = tlog::open_directory(directory_);
  const auto& head = manifest_.checkpoint;
  tlog::TileNodes nodes(head.size, [&](const tlog::TileName& name) { return source->tile(name); });
  std::error_code none;
  for (const auto& entry : std::filesystem::directory_iterator(directory_ / "earlier", none)) {
    const auto place = "earlier/" + entry.path().filename().string();
    const auto note = read_text(entry.path());
    const auto old = note ? trust_.check(*note) : Result<tlog::Checkpoint>(note.error());
    if (!old || old->origin != head.origin) {
      verdict_.broken(rules::checkpoint_unsigned, place, old ? "it is of another log" : old.error().detail);
      continue;
    }
    const auto proof = tlog::consistency_proof(old->size, head.size, std::ref(nodes));
    const auto holds = proof ? tlog::verify_consistency(old->size, old->root, head.size, head.root, *proof)
                             : Result<void>(proof.error());
    if (holds) {
      verdict_.ok("checkpoint-continued", place, fmt::format("the log continues its {} leaves", old->size));
    } else {
      verdict_.broken(rules::log_rewritten, place, holds.error().detail);
    }
  }
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
  history_.take(facts_of(range, from, leaf_));
}

void ExportCheck::unproved(std::uint64_t leaf, std::string found) {
  verdict_.broken(rules::export_unproved, fmt::format("leaf {}", leaf), std::move(found));
}

}  // namespace

bool is_export(const std::filesystem::path& directory) {
  std::error_code failed;
  return std::filesystem::exists(directory / "manifest", failed) &&
         std::filesystem::exists(directory / "SHA256SUMS", failed);
}

Result<Verified> check_export(const std::filesystem::path& directory, const Trust& trust, Verdict& verdict,
                              const Progress& progress) {
  return ExportCheck(directory, trust, verdict).run(progress);
}

}  // namespace avseal::audit
