#include "audit/export.hpp"

#include <algorithm>
#include <fstream>
#include <map>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "audit/csv.hpp"
#include "audit/export_readme.hpp"
#include "tlog/export_manifest.hpp"
#include "tlog/proof.hpp"
#include "tokens/base64.hpp"

namespace avseal::audit {

namespace {

using tlog::tile_width;
using tlog::TileName;

constexpr std::uint64_t bundles_remembered = 256;  // their tiles

Error directory_error(const std::filesystem::path& path, std::string_view why) {
  return errors::make(Category::invalid, "export-directory", fmt::format("{}: {}", path.string(), why));
}

Error source_error(std::string detail) {
  return errors::make(Category::invalid, "export-source",
                      std::move(detail) + "; `avseal ledger verify` says more of this log");
}

std::string pem_of(const tokens::PublicKey& key) {
  constexpr std::size_t columns = 64;
  const auto text = tokens::base64_encode(key.spki());
  std::string out = "-----BEGIN PUBLIC KEY-----\n";
  for (std::size_t at = 0; at < text.size(); at += columns) out += text.substr(at, columns) + '\n';
  return out + "-----END PUBLIC KEY-----\n";
}

// The files of an export, as they are written.
class Output {
 public:
  static Result<Output> make(std::filesystem::path directory) {
    std::error_code failed;
    std::filesystem::create_directories(directory, failed);
    if (failed || !std::filesystem::is_empty(directory, failed)) {
      return directory_error(directory, failed ? failed.message() : "expected a new or empty directory");
    }
    return Output(std::move(directory));
  }

  Result<void> write(const std::string& path, ByteView bytes) {
    const auto file = directory_ / path;
    std::error_code failed;
    std::filesystem::create_directories(file.parent_path(), failed);
    std::ofstream out(file, std::ios::binary | std::ios::trunc);
    out.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    out.close();
    if (!out) return directory_error(file, "cannot be written");
    digests_[path] = tokens::sha256(bytes);
    return {};
  }
  Result<void> write(const std::string& path, std::string_view text) { return write(path, as_bytes(text)); }

  // Of a file that is written elsewhere.
  void add(const std::string& path, const tokens::Sha256& digest) { digests_[path] = digest; }
  [[nodiscard]] std::filesystem::path file(const std::string& path) const { return directory_ / path; }
  [[nodiscard]] std::string sums() const {
    std::string out;
    for (const auto& [path, digest] : digests_) out += fmt::format("{}  {}\n", tokens::hex_encode(digest), path);
    return out;
  }

 private:
  explicit Output(std::filesystem::path directory) : directory_(std::move(directory)) {}
  std::filesystem::path directory_;
  std::map<std::string, tokens::Sha256> digests_;
};

// A file that is written piece by piece.
class Stream {
 public:
  explicit Stream(const std::filesystem::path& file) : out_(file, std::ios::binary | std::ios::trunc) {}
  void append(std::string_view text) {
    out_ << text;
    digest_.update(as_bytes(text));
  }
  Result<void> finish(const std::string& path, Output& output) {
    out_.close();
    if (!out_) return directory_error(output.file(path), "cannot be written");
    output.add(path, digest_.finish());
    return {};
  }

 private:
  std::ofstream out_;
  tokens::Sha256Stream digest_;
};

class Export {
 public:
  Export(const tlog::Source& source, const tlog::Policy& policy, const ExportOptions& options, Output output)
      : source_(source),
        policy_(policy),
        options_(options),
        output_(std::move(output)),
        csv_(output_.file("entries.csv")),
        lines_(output_.file("entries.jsonl")) {}

  Result<std::string> run(const Progress& progress);

 private:
  Result<void> open();
  Result<void> write_bundle(std::uint64_t index);
  Result<void> write_entries(std::span<const ByteView> entries, std::uint64_t start);
  Result<void> show_first(std::span<const ByteView> entries, std::uint64_t start, std::size_t bundle_offset);
  Result<void> write_earlier();
  Result<void> write_trust();
  Result<Bytes> read_tile(const TileName& name);

  const tlog::Source& source_;
  const tlog::Policy& policy_;
  const ExportOptions& options_;
  Output output_;
  Stream csv_;
  Stream lines_;
  tlog::Note note_;
  tlog::Checkpoint checkpoint_;
  std::optional<tlog::TileNodes> nodes_;
  std::optional<tlog::VerifierKey> key_;
  ExportReadme readme_{};
  Leaf leaf_;
};

Result<void> Export::open() {
  const auto trust = Trust::of_policy(policy_);
  AVSEAL_TRY(const auto note, trust.read(source_, options_.patience));
  AVSEAL_TRY(note_, tlog::Note::parse(note));
  AVSEAL_TRY(checkpoint_, trust.check(note_));
  if (options_.from >= options_.to || options_.to > checkpoint_.size) {
    return errors::make(Category::invalid, "export-range",
                        fmt::format("expected a range of the {} leaves of {}, found {} to {}", checkpoint_.size,
                                    checkpoint_.origin, options_.from, options_.to));
  }
  return output_.write("checkpoint", note);
}

// Every tile that is looked at goes into the export.
Result<Bytes> Export::read_tile(const TileName& name) {
  AVSEAL_TRY(auto bytes, source_.tile(name));
  AVSEAL_CHECK(output_.write(tlog::path_of(name), bytes));
  return bytes;
}

Result<std::string> Export::run(const Progress& progress) {
  AVSEAL_CHECK(open());
  AVSEAL_CHECK(write_trust());
  csv_.append(csv_header);
  const auto first = options_.from / tile_width;
  const auto end = (options_.to + tile_width - 1) / tile_width;
  for (auto index = first; index < end; ++index) {
    if ((index - first) % bundles_remembered == 0) {
      nodes_.emplace(checkpoint_.size, [this](const TileName& name) { return read_tile(name); });
    }
    AVSEAL_CHECK(write_bundle(index));
    if (progress) progress(index + 1 - first, end - first);
  }
  AVSEAL_CHECK(write_earlier());
  AVSEAL_CHECK(csv_.finish("entries.csv", output_));
  AVSEAL_CHECK(lines_.finish("entries.jsonl", output_));
  AVSEAL_CHECK(output_.write("README", readme_text(readme_)));
  const auto sums = output_.sums();
  AVSEAL_CHECK(output_.write("SHA256SUMS", sums));
  tlog::ExportManifest manifest;
  manifest.checkpoint = checkpoint_;
  manifest.from = options_.from;
  manifest.to = options_.to;
  manifest.files = {{tokens::sha256(as_bytes(sums)), "SHA256SUMS"}};
  return manifest.text();
}

Result<void> Export::write_bundle(std::uint64_t index) {
  const auto start = index * tile_width;
  const auto name = tlog::tile_at(std::nullopt, start, checkpoint_.size);
  AVSEAL_TRY(const auto bytes, source_.tile(name));
  AVSEAL_TRY(const auto entries, tlog::read_bundle(bytes, name.width));
  const auto node = [this](unsigned level, std::uint64_t at) { return (*nodes_)(level, at); };
  // The way of one entry to the root has, or is made of, each hash of its tile; so all of them are good if it leads
  // there.
  AVSEAL_TRY(const auto proof, tlog::inclusion_proof(start, checkpoint_.size, node));
  const auto first_hash = tlog::leaf_hash(entries.front());
  if (!tlog::verify_inclusion(start, checkpoint_.size, first_hash, checkpoint_.root, proof)) {
    return source_error(fmt::format("leaf {} does not lead to the root of the checkpoint", start));
  }
  for (std::size_t i = 0; i < entries.size(); ++i) {
    AVSEAL_TRY(const auto hash, (*nodes_)(0, start + i));
    if (hash != tlog::leaf_hash(entries[i])) {
      return source_error(fmt::format("leaf {} does not have the hash of its place in the tree", start + i));
    }
  }
  AVSEAL_CHECK(output_.write(tlog::path_of(name), bytes));
  if (index == options_.from / tile_width) {
    readme_.bundle = tlog::path_of(name);
    const auto skipped = static_cast<std::size_t>(options_.from - start);
    AVSEAL_CHECK(show_first(entries, start, static_cast<std::size_t>(entries[skipped].data() - bytes.data())));
  }
  return write_entries(entries, start);
}

Result<void> Export::write_entries(std::span<const ByteView> entries, std::uint64_t start) {
  std::string csv;
  std::string lines;
  for (std::size_t i = 0; i < entries.size(); ++i) {
    if (start + i < options_.from || start + i >= options_.to) continue;
    AVSEAL_CHECK(read_leaf(entries[i], leaf_));
    append_csv_row(csv, leaf_);
    lines += as_text(entries[i]);
    lines += '\n';
  }
  csv_.append(csv);
  lines_.append(lines);
  return {};
}

Result<void> Export::show_first(std::span<const ByteView> entries, std::uint64_t start, std::size_t bundle_offset) {
  const auto node = [this](unsigned level, std::uint64_t at) { return (*nodes_)(level, at); };
  const auto entry = entries[static_cast<std::size_t>(options_.from - start)];
  readme_.offset = bundle_offset;
  readme_.length = entry.size();
  AVSEAL_TRY(readme_.proof, tlog::inclusion_proof(options_.from, checkpoint_.size, node));
  tlog::Proof receipt;
  receipt.extra = Bytes(entry.begin(), entry.end());
  receipt.index = options_.from;
  receipt.hashes = readme_.proof;
  receipt.checkpoint = note_;
  return output_.write("first.tlog-proof", receipt.to_string());
}

Result<void> Export::write_earlier() {
  const auto node = [this](unsigned level, std::uint64_t at) { return (*nodes_)(level, at); };
  for (const auto& note : options_.earlier) {
    AVSEAL_TRY(const auto old, Trust::of_policy(policy_).check(note));
    if (old.origin != checkpoint_.origin || old.size == 0 || old.size > checkpoint_.size) {
      return source_error(
          fmt::format("the checkpoint of {} with {} leaves is none that this log continues", old.origin, old.size));
    }
    AVSEAL_TRY(const auto proof, tlog::consistency_proof(old.size, checkpoint_.size, node));
    AVSEAL_CHECK(tlog::verify_consistency(old.size, old.root, checkpoint_.size, checkpoint_.root, proof));
    AVSEAL_CHECK(output_.write(fmt::format("earlier/{}.checkpoint", old.size), note));
    readme_.earlier.push_back(old.size);
  }
  return {};
}

// The key that signed the checkpoint, and the policy as a file.
Result<void> Export::write_trust() {
  std::string policy;
  const auto keys = Trust::of_policy(policy_).keys_of(checkpoint_.origin);
  AVSEAL_TRY(const auto signers, tlog::signers(note_, keys));
  key_ = keys[signers.front()];
  const auto line = std::find_if(note_.signatures.begin(), note_.signatures.end(),
                                 [this](const auto& signature) { return key_->made(signature); });
  const auto text_lines = std::count(note_.text.begin(), note_.text.end(), '\n');
  readme_.checkpoint = checkpoint_;
  readme_.signature_line = static_cast<std::size_t>(text_lines + 2 + (line - note_.signatures.begin()));
  readme_.key = key_;
  readme_.from = options_.from;
  readme_.to = options_.to;
  readme_.is_signed = options_.is_signed;
  for (const auto& key : keys) policy += fmt::format("log {}\n", key.text());
  for (const auto& witness : policy_.witnesses)
    policy += fmt::format("witness {} {}\n", witness.name, witness.key.text());
  for (const auto& group : policy_.groups) {
    policy += fmt::format("group {} {} {}\n", group.name, group.needed, fmt::join(group.members, " "));
  }
  policy += fmt::format("quorum {}\n", policy_.quorum.empty() ? "none" : policy_.quorum);
  AVSEAL_CHECK(output_.write("policy", policy));
  AVSEAL_TRY(const auto public_key, public_key_of(*key_));
  return output_.write("log.pem", pem_of(public_key));
}

}  // namespace

Result<std::string> export_range(const tlog::Source& source, const tlog::Policy& policy, const ExportOptions& options,
                                 const Progress& progress) {
  AVSEAL_TRY(auto output, Output::make(options.directory));
  return Export(source, policy, options, std::move(output)).run(progress);
}

}  // namespace avseal::audit
