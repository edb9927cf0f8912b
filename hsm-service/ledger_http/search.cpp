#include "ledger_http/search.hpp"

#include <algorithm>

#include "audit/leaf.hpp"
#include "ledger/leaf.hpp"

namespace avseal::ledger_http {

namespace {

class Search {
 public:
  Search(const Log& log, const EventQuery& query, const std::optional<SoughtSubject>& subject)
      : query_(query), subject_(subject), size_(log.head.size), source_(tlog::open_directory(log.directory)) {}

  Result<Page> run();

 private:
  [[nodiscard]] Result<Bytes> bundle(std::uint64_t number) const;
  Result<std::uint64_t> first_bundle();
  Result<std::int64_t> begin_of(std::uint64_t number);
  Result<bool> take(ByteView entry, std::uint64_t index, Page& page);
  [[nodiscard]] bool wanted() const;
  [[nodiscard]] bool used_key() const;
  [[nodiscard]] bool concerns_subject() const;

  const EventQuery& query_;
  const std::optional<SoughtSubject>& subject_;
  std::uint64_t size_;
  std::unique_ptr<tlog::Source> source_;
  audit::Leaf leaf_;
  std::size_t found_ = 0;  // bytes
};

unsigned width_of(std::uint64_t number, std::uint64_t size) {
  return static_cast<unsigned>(std::min<std::uint64_t>(tlog::tile_width, size - number * tlog::tile_width));
}

Result<Bytes> Search::bundle(std::uint64_t number) const {
  return source_->tile({std::nullopt, number, width_of(number, size_)});
}

// The time of the first leaf of a bundle.
Result<std::int64_t> Search::begin_of(std::uint64_t number) {
  AVSEAL_TRY(const auto bytes, bundle(number));
  AVSEAL_TRY(const auto entries, tlog::read_bundle(bytes, width_of(number, size_)));
  AVSEAL_CHECK(audit::read_leaf(entries.front(), leaf_));
  return leaf_.time;
}

// The last one that begins before the range, for the leaves of one millisecond may stand in two bundles.
Result<std::uint64_t> Search::first_bundle() {
  std::uint64_t low = query_.from / tlog::tile_width;
  if (!query_.start) return low;
  std::uint64_t high = (size_ + tlog::tile_width - 1) / tlog::tile_width;
  while (low + 1 < high) {
    const auto middle = low + (high - low) / 2;
    AVSEAL_TRY(const auto begin, begin_of(middle));
    (begin < *query_.start ? low : high) = middle;
  }
  return low;
}

bool Search::used_key() const {
  return std::any_of(leaf_.uses.begin(), leaf_.uses.end(),
                     [&](const auto& use) { return use.key == query_.key || use.kid == query_.key; });
}

bool Search::concerns_subject() const {
  if (leaf_.subjects.empty()) return false;
  const auto tag = ledger::subject_tag(subject_->key, subject_->origin, leaf_.event, subject_->value, leaf_.id);
  return leaf_.subjects.find('"' + tag + '"') != std::string_view::npos;
}

bool Search::wanted() const {
  const auto fits = [](const std::string& asked, std::string_view found) { return asked.empty() || asked == found; };
  return fits(query_.event, leaf_.event) && fits(query_.outcome, leaf_.outcome) && fits(query_.reason, leaf_.reason) &&
         (query_.actor.empty() || query_.actor == leaf_.client || query_.actor == leaf_.actor) &&
         (query_.key.empty() || used_key()) && (!query_.start || leaf_.time >= *query_.start) &&
         (!subject_ || concerns_subject());
}

// false: nothing that is asked for stands at this leaf or behind it, or the page is full.
Result<bool> Search::take(ByteView entry, std::uint64_t index, Page& page) {
  AVSEAL_CHECK(audit::read_leaf(entry, leaf_));
  if (query_.end && leaf_.time >= *query_.end) return false;
  if (!wanted()) return true;
  if (page.leaves.size() == query_.limit || found_ >= max_found) {
    page.next = index;
    return false;
  }
  page.leaves.emplace_back(as_text(entry));
  found_ += entry.size();
  return true;
}

Result<Page> Search::run() {
  Page page;
  if (query_.from >= size_) return page;
  AVSEAL_TRY(const auto first, first_bundle());
  const auto begin = std::max(query_.from, first * tlog::tile_width);
  const auto end = std::min(size_, (begin / tlog::tile_width) * tlog::tile_width + max_searched);
  for (auto number = begin / tlog::tile_width; number * tlog::tile_width < end; ++number) {
    AVSEAL_TRY(const auto bytes, bundle(number));
    AVSEAL_TRY(const auto entries, tlog::read_bundle(bytes, width_of(number, size_)));
    for (std::size_t i = 0; i < entries.size(); ++i) {
      const auto index = number * tlog::tile_width + i;
      if (index < begin) continue;
      AVSEAL_TRY(const bool more, take(entries[i], index, page));
      if (!more) return page;
    }
  }
  if (end < size_) page.next = end;
  return page;
}

}  // namespace

Result<Page> search(const Log& log, const EventQuery& query, const std::optional<SoughtSubject>& subject) {
  return Search(log, query, subject).run();
}

}  // namespace avseal::ledger_http
