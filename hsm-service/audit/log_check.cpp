#include "audit/log_check.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "audit/in_order.hpp"
#include "audit/rules.hpp"
#include "audit/tile_proofs.hpp"

namespace avseal::audit {

namespace {

using tlog::tile_width;

std::string place_of(const Held& held) {
  return fmt::format("checkpoint {}", held.name);
}

bool report_shrunk(const Held& held, const tlog::Checkpoint& log, Verdict& verdict) {
  if (held.checkpoint.size <= log.size) return false;
  verdict.broken(rules::log_shrunk, place_of(held),
                 fmt::format("it signs {} leaves, and the log has {}", held.checkpoint.size, log.size));
  return true;
}

void report_continued(const Held& held, Verdict& verdict) {
  verdict.ok("checkpoint-continued", place_of(held),
             fmt::format("the log continues its {} leaves", held.checkpoint.size));
}

}  // namespace

Result<void> compare_by_proofs(const tlog::Source& source, const tlog::Checkpoint& checkpoint,
                               std::span<const Held> held, Verdict& verdict) {
  TileProofs proofs(source, checkpoint);
  for (const auto& one : held) {
    if (report_shrunk(one, checkpoint, verdict)) continue;
    AVSEAL_TRY(auto wrong, proofs.continues(one.checkpoint));
    if (wrong.empty()) {
      report_continued(one, verdict);
    } else {
      const bool same_size = one.checkpoint.size == checkpoint.size;
      verdict.broken(same_size ? rules::log_forked : rules::log_rewritten, place_of(one), std::move(wrong));
    }
  }
  return {};
}

LogCheck::LogCheck(const tlog::Source& source, tlog::Checkpoint checkpoint, Verdict& verdict, History& history)
    : source_(source), checkpoint_(std::move(checkpoint)), verdict_(verdict), history_(history) {}

Result<void> LogCheck::run(std::uint64_t from, std::vector<Held> held, unsigned threads, const Progress& progress) {
  held_ = std::move(held);
  std::sort(held_.begin(), held_.end(),
            [](const auto& a, const auto& b) { return a.checkpoint.size < b.checkpoint.size; });
  std::erase_if(held_, [&](const auto& one) { return report_shrunk(one, checkpoint_, verdict_); });

  const auto first = from / tile_width;
  const auto end = (checkpoint_.size + tile_width - 1) / tile_width;
  AVSEAL_CHECK(compare_left(from));
  AVSEAL_TRY(auto tree, Tree::begin(source_, checkpoint_, first, verdict_));
  compare_held(tree, first * tile_width);
  const auto produce = [&](std::uint64_t index) { return failed_ ? Read{} : read(index, from); };
  const auto consume = [&](std::uint64_t index, Read one) {
    if (failed_) return;
    take(tree, std::move(one));
    if (progress) progress(std::min((index + 1) * tile_width, checkpoint_.size), checkpoint_.size);
  };
  in_order(first, end, threads, produce, consume);
  if (error_) return *error_;
  compare_root(tree);
  tree.finish();
  return {};
}

LogCheck::Read LogCheck::read(std::uint64_t index, std::uint64_t from) {
  Read out;
  out.bundle.index = index;
  out.bundle.width = tlog::tile_at(std::nullopt, index * tile_width, checkpoint_.size).width;
  read_entries(out, from);
  read_tile(out);
  return out;
}

void LogCheck::read_entries(Read& out, std::uint64_t from) {
  auto& bundle = out.bundle;
  const tlog::TileName name{std::nullopt, bundle.index, bundle.width};
  const auto bytes = source_.tile(name);
  if (!bytes) {
    if (bytes.error().category != Category::not_found) return fail(bytes.error());
    out.entries_missing = true;
    out.breaches.push_back({&rules::entries_missing, tlog::path_of(name), bytes.error().detail});
    return;
  }
  const auto entries = tlog::read_bundle(*bytes, bundle.width);
  if (!entries) {
    out.breaches.push_back({&rules::entries_malformed, tlog::path_of(name), entries.error().detail});
    return;
  }
  bundle.entries.reserve(entries->size());
  for (const auto entry : *entries) bundle.entries.push_back(tlog::leaf_hash(entry));
  if (bundle.width == tile_width) bundle.root = tlog::root_of_leaves(bundle.entries);
  const auto start = bundle.index * tile_width;
  const auto skipped = static_cast<std::size_t>(from > start ? from - start : 0);
  thread_local Leaf leaf;
  out.facts = facts_of(std::span(*entries).subspan(skipped), start + skipped, leaf);
}

void LogCheck::read_tile(Read& out) {
  const tlog::TileName name{0, out.bundle.index, out.bundle.width};
  const auto bytes = source_.tile(name);
  if (!bytes) {
    if (bytes.error().category != Category::not_found) return fail(bytes.error());
    out.breaches.push_back({&rules::tile_missing, tlog::path_of(name), bytes.error().detail});
    return;
  }
  auto hashes = tlog::read_tile(*bytes, name.width);
  if (hashes) {
    out.bundle.tile = std::move(*hashes);
  } else {
    out.breaches.push_back({&rules::tile_differs, tlog::path_of(name), hashes.error().detail});
  }
}

void LogCheck::fail(const Error& error) {
  const std::lock_guard lock(error_mutex_);
  if (!error_) error_ = error;
  failed_ = true;
}

void LogCheck::take(Tree& tree, Read read) {
  const auto start = read.bundle.index * tile_width;
  const auto end = start + read.bundle.width;
  for (auto& breach : read.breaches) verdict_.broken(std::move(breach));
  if (!read.entries_missing) {
    missing_from_.reset();
  } else if (!missing_from_) {
    missing_from_ = read.bundle.index;
  }
  tree.take(std::move(read.bundle));
  compare_held(tree, end);
  history_.take(read.facts);
}

// With the checkpoints that are not larger than what the tree has.
void LogCheck::compare_held(const Tree& tree, std::uint64_t end) {
  while (!held_.empty() && held_.front().checkpoint.size <= end) {
    const auto held = std::move(held_.front());
    held_.erase(held_.begin());
    const auto& checkpoint = held.checkpoint;
    const bool same_size = checkpoint.size == checkpoint_.size;
    if (same_size && checkpoint.root != checkpoint_.root) {
      verdict_.broken(rules::log_forked, place_of(held),
                      fmt::format("it and the log's checkpoint sign two roots for {} leaves", checkpoint.size));
      continue;
    }
    const auto root = tree.root(checkpoint.size);
    if (!root) {
      verdict_.note("checkpoint-not-compared", place_of(held), "too much of the log before it is missing");
    } else if (*root != checkpoint.root) {
      verdict_.broken(rules::log_rewritten, place_of(held),
                      fmt::format("the first {} leaves lead to another root than it signs", checkpoint.size));
    } else {
      report_continued(held, verdict_);
    }
  }
}

// With the checkpoints of the part that is not read.
Result<void> LogCheck::compare_left(std::uint64_t from) {
  const auto start = from / tile_width * tile_width;
  const auto end =
      std::find_if(held_.begin(), held_.end(), [&](const auto& one) { return one.checkpoint.size >= start; });
  const std::vector<Held> left(held_.begin(), end);
  held_.erase(held_.begin(), end);
  return compare_by_proofs(source_, checkpoint_, left, verdict_);
}

void LogCheck::compare_root(const Tree& tree) {
  if (missing_from_) {
    verdict_.broken(rules::log_truncated, fmt::format("leaf {}", *missing_from_ * tile_width),
                    fmt::format("no entries from there to leaf {}, which the checkpoint signs", checkpoint_.size - 1));
  }
  const auto root = tree.root(checkpoint_.size);
  if (!root) {
    verdict_.broken(rules::root_differs, "checkpoint", "too much is missing to make the root");
  } else if (*root != checkpoint_.root) {
    verdict_.broken(rules::root_differs, "checkpoint",
                    fmt::format("the entries lead to {}, and it signs {}", tlog::hash_text(*root),
                                tlog::hash_text(checkpoint_.root)));
  } else {
    verdict_.ok("root", "checkpoint", fmt::format("{} leaves lead to the root that it signs", checkpoint_.size));
  }
}

}  // namespace avseal::audit
