#include "audit/export.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "audit/csv.hpp"
#include "audit/export_files.hpp"
#include "audit/export_readme.hpp"
#include "audit/named_keys.hpp"
#include "tlog/export_manifest.hpp"
#include "tlog/proof.hpp"
#include "tokens/base64.hpp"

namespace avseal::audit {

namespace {

using tlog::tile_width;
using tlog::TileName;
using Chains = std::map<std::string, Chain>;  // by their files

constexpr std::uint64_t bundles_remembered = 256;  // their tiles

Error source_error(std::string detail) {
  return errors::make(Category::invalid, "export-source",
                      std::move(detail) + "; `avseal ledger verify` says more of this log");
}

Error certificate_error(const std::string& name, const std::string& kid, std::string_view why) {
  return errors::make(Category::invalid, "export-certificate",
                      fmt::format("{}: a certificate of the key with thumbprint {}, {}", name, kid, why));
}

std::string path_of(const Chain& chain) {
  return fmt::format("certificates/{}.pem", chain.front().sha256_hex());
}

std::string pem_of(const Chain& chain) {
  std::string out;
  for (const auto& certificate : chain) out += certificate.pem();
  return out;
}

std::string pem_of(const tokens::PublicKey& key) {
  constexpr std::size_t columns = 64;
  const auto text = tokens::base64_encode(key.spki());
  std::string out = "-----BEGIN PUBLIC KEY-----\n";
  for (std::size_t at = 0; at < text.size(); at += columns) out += text.substr(at, columns) + '\n';
  return out + "-----END PUBLIC KEY-----\n";
}

class Export {
 public:
  Export(const tlog::Source& source, const tlog::Policy& policy, const ExportOptions& options, ExportFiles output)
      : source_(source),
        policy_(policy),
        options_(options),
        output_(std::move(output)),
        csv_(output_.file("entries.csv")),
        lines_(output_.file("entries.jsonl")) {}

  Result<Exported> run(const Progress& progress);

 private:
  Result<void> open();
  Result<void> write_bundle(std::uint64_t index);
  Result<void> write_entries(std::span<const ByteView> entries, std::uint64_t start);
  Result<void> show_first(std::span<const ByteView> entries, std::uint64_t start, std::size_t bundle_offset);
  Result<void> write_earlier();
  Result<void> write_trust();
  Result<void> write_certificates();
  Result<std::map<std::string, Chains>> given_certificates() const;
  Result<Chain> find_certificate(const std::string& kid) const;
  Result<Bytes> read_tile(const TileName& name);

  const tlog::Source& source_;
  const tlog::Policy& policy_;
  const ExportOptions& options_;
  ExportFiles output_;
  ExportStream csv_;
  ExportStream lines_;
  tlog::Note note_;
  tlog::Checkpoint checkpoint_;
  std::optional<tlog::TileNodes> nodes_;
  std::optional<tlog::VerifierKey> key_;
  ExportReadme readme_{};
  NamedKeys keys_;
  std::vector<std::string> uncertified_;
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

Result<Exported> Export::run(const Progress& progress) {
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
  AVSEAL_CHECK(write_certificates());
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
  return Exported{manifest.text(), std::move(uncertified_)};
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
  const auto from = std::max(start, options_.from);
  const auto to = std::min(start + entries.size(), options_.to);
  const auto range = entries.subspan(static_cast<std::size_t>(from - start), static_cast<std::size_t>(to - from));
  std::string csv;
  std::string lines;
  for (const auto entry : range) {
    AVSEAL_CHECK(read_leaf(entry, leaf_));
    append_csv_row(csv, leaf_);
    lines += as_text(entry);
    lines += '\n';
  }
  readme_.last_time = leaf_.time / 1000;
  csv_.append(csv);
  lines_.append(lines);
  add_named_keys(facts_of(range, from, leaf_), keys_);
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

// By the thumbprint of their key.
Result<std::map<std::string, Chains>> Export::given_certificates() const {
  std::map<std::string, Chains> given;
  for (const auto& [name, chain] : options_.certificates) {
    const auto kid = chain.front().public_key().thumbprint();
    if (keys_.count(kid) == 0) {
      return certificate_error(name, kid,
                               fmt::format("which no entry from {} to {} names: leave it out, or export entries that "
                                           "do (a leaf keys.loaded has all keys of a start)",
                                           options_.from, options_.to - 1));
    }
    given[kid].emplace(path_of(chain), chain);
  }
  return given;
}

Result<Chain> Export::find_certificate(const std::string& kid) const {
  if (!options_.find_certificate) return Chain();
  AVSEAL_TRY(auto chain, options_.find_certificate(kid));
  if (chain.empty()) return chain;
  const auto found = chain.front().public_key().thumbprint();
  if (found == kid) return chain;
  return certificate_error(chain.front().sha256_hex(), found, "where that of " + kid + " was asked for");
}

Result<void> Export::write_certificates() {
  AVSEAL_TRY(const auto key_of_log, public_key_of(*key_));
  const auto own = key_of_log.thumbprint();
  keys_.try_emplace(own, NamedKey{"(of the log)", {}});
  AVSEAL_TRY(auto given, given_certificates());
  for (const auto& [kid, key] : keys_) {
    auto& chains = given[kid];
    if (chains.empty() && (key.first_use || kid == own)) {
      AVSEAL_TRY(auto found, find_certificate(kid));
      if (!found.empty()) chains.emplace(path_of(found), found);
    }
    for (const auto& [path, chain] : chains) {
      AVSEAL_CHECK(output_.write(path, pem_of(chain)));
      readme_.keys.push_back({kid, key.name, key.first_use, path, chain.front().public_key().algorithm()});
    }
    if (!chains.empty() || !key.first_use) continue;
    readme_.keys.push_back({kid, key.name, key.first_use, {}, {}});
    uncertified_.push_back(fmt::format("{} (thumbprint {})", key.name, kid));
  }
  return {};
}

}  // namespace

Result<Exported> export_range(const tlog::Source& source, const tlog::Policy& policy, const ExportOptions& options,
                              const Progress& progress) {
  AVSEAL_TRY(auto output, ExportFiles::make(options.directory));
  return Export(source, policy, options, std::move(output)).run(progress);
}

}  // namespace avseal::audit
