#include "audit/saved_history.hpp"

#include <fmt/format.h>

#include "audit/saved.hpp"

namespace avseal::audit {

namespace {

constexpr std::int64_t version = 1;

std::string text_of(const SavedHistory& saved) {
  const auto& state = saved.state;
  boost::json::object history{
      {"counters", state.counters.saved()}, {"keys", state.keys.saved()}, {"keys_named", state.keys_named},
      {"last_time", state.last_time},       {"midway", state.midway},     {"stopped", state.stopped},
      {"time_before", state.time_before},   {"unlogged", state.unlogged}, {"uses_told", state.uses_told}};
  if (state.first_time) history["first_time"] = *state.first_time;
  const boost::json::object document{
      {"checkpoint", saved.checkpoint.text()}, {"history", std::move(history)}, {"version", version}};
  return tokens::canonical_json(document) + "\n";
}

Result<std::int64_t> time_in(tokens::ObjectReader& reader, std::string_view name) {
  AVSEAL_TRY(const auto time, reader.integer(name));
  if (!is_time(time)) return saved_malformed(fmt::format("no time at /history/{}", name));
  return time;
}

Result<HistoryState> history_of(tokens::ObjectReader reader) {
  HistoryState state;
  AVSEAL_TRY(auto counters, reader.object("counters"));
  AVSEAL_TRY(state.counters, Counters::restored(std::move(counters)));
  AVSEAL_TRY(const auto keys, reader.object("keys"));
  AVSEAL_TRY(state.keys, KeyHistory::restored(keys.raw()));
  AVSEAL_TRY(state.keys_named, reader.boolean("keys_named"));
  AVSEAL_TRY(state.midway, reader.boolean("midway"));
  AVSEAL_TRY(state.stopped, reader.boolean("stopped"));
  if (reader.has("first_time")) {
    AVSEAL_TRY(state.first_time, time_in(reader, "first_time"));
  }
  AVSEAL_TRY(state.last_time, time_in(reader, "last_time"));
  AVSEAL_TRY(state.time_before, time_in(reader, "time_before"));
  AVSEAL_TRY(state.uses_told, time_in(reader, "uses_told"));
  AVSEAL_TRY(const auto unlogged, reader.integer("unlogged"));
  state.unlogged = static_cast<std::uint64_t>(unlogged);
  return state;
}

Result<SavedHistory> read(std::string_view text) {
  AVSEAL_TRY(const auto document, tokens::parse_json(text, {SavedHistory::max_size}));
  AVSEAL_TRY(auto reader, tokens::ObjectReader::open(document));
  AVSEAL_TRY(const auto found, reader.integer("version"));
  if (found != version) return saved_malformed(fmt::format("version {}, expected {}", found, version));
  SavedHistory saved;
  AVSEAL_TRY(const auto checkpoint, reader.string("checkpoint"));
  AVSEAL_TRY(saved.checkpoint, tlog::Checkpoint::parse(checkpoint));
  AVSEAL_TRY(auto history, reader.object("history"));
  AVSEAL_TRY(saved.state, history_of(std::move(history)));
  return saved;
}

}  // namespace

Result<std::string> SavedHistory::text() const {
  auto text = text_of(*this);
  if (text.size() <= max_size) return text;
  return errors::make(Category::too_large, "numbers-too-large",
                      fmt::format("expected at most {} bytes of numbers to keep, found {}: verify the whole log each "
                                  "time, without saving",
                                  max_size, text.size()));
}

Result<SavedHistory> SavedHistory::parse(std::string_view text) {
  auto saved = read(text);
  if (!saved && saved.error().reason == "numbers-malformed") return saved;
  if (!saved) return saved_malformed("something else: " + saved.error().detail);
  if (text_of(*saved) != text) return saved_malformed("another spelling, or members in excess");
  return saved;
}

}  // namespace avseal::audit
