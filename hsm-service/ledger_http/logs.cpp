#include "ledger_http/logs.hpp"

#include <algorithm>

#include "ledger_http/errors.hpp"
#include "tlog/note.hpp"

namespace avseal::ledger_http {

bool Log::covers(const tlog::TileName& name) const {
  const unsigned level = name.level.value_or(0);
  const auto full = tlog::full_tiles(level, head.size);
  if (name.index < full) return true;
  return name.index == full && name.width != tlog::tile_width && name.width <= tlog::partial_width(level, head.size);
}

Log Logs::of(ledger::Published published) const {
  return {directory_, {std::move(published.origin), published.size, published.root}, std::move(published.note), false};
}

Result<Log> Logs::current() const {
  auto published = ledger_.published();
  if (!published) return errors::no_checkpoint();
  return of(std::move(*published));
}

Result<Log> Logs::closed(std::string_view year) const {
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  if (year.size() != 4 || !std::all_of(year.begin(), year.end(), digit)) return errors::log_unknown();
  Log log;
  log.directory = directory_ / "closed" / year;
  log.closed = true;
  auto bytes = tlog::open_directory(log.directory)->read("checkpoint");
  if (!bytes) return bytes.error().category == Category::not_found ? errors::log_unknown() : bytes.error();
  log.note = as_text(*bytes);
  AVSEAL_TRY(const auto note, tlog::Note::parse(log.note));
  AVSEAL_TRY(log.head, tlog::Checkpoint::parse(note.text));
  return log;
}

Result<Log> Logs::find(std::string_view year) const {
  return year.empty() ? current() : closed(year);
}

}  // namespace avseal::ledger_http
