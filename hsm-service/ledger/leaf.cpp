#include "ledger/leaf.hpp"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include "tokens/base64.hpp"
#include "tokens/digest.hpp"
#include "tokens/json.hpp"

namespace avseal::ledger {

namespace {

constexpr std::size_t max_reason_size = 128;
constexpr std::size_t max_keys_size = 30'720;
static_assert(max_event_size + max_keys_size + 1024 <= max_leaf_size);

void append_string(std::string& out, std::string_view text) {
  const auto plain = [](char c) { return c >= 0x20 && c < 0x7f && c != '"' && c != '\\'; };
  if (!std::all_of(text.begin(), text.end(), plain)) {
    out += tokens::canonical_json(boost::json::string(text));
    return;
  }
  out += '"';
  out += text;
  out += '"';
}

void append_member(std::string& out, std::string_view name, std::string_view text) {
  if (text.empty()) return;
  out.append("\"").append(name).append("\":");
  append_string(out, text);
  out += ',';
}

void append_use(std::string& out, const KeyUse& use) {
  out += '{';
  append_member(out, "digest", use.digest);
  append_member(out, "key", use.key);
  append_member(out, "kid", use.kid);
  append_member(out, "outcome", use.outcome);
  out.append("\"sequence\":").append(fmt::format_int(use.sequence).c_str()).append(",");
  append_member(out, "worker", use.worker);
  out.back() = '}';
}

std::string subjects_text(std::span<const SubjectTag> subjects) {
  boost::json::object roles;
  for (const auto& subject : subjects) {
    auto& tags = roles[subject.role];
    if (tags.is_null()) tags.emplace_array();
    tags.get_array().emplace_back(subject.tag);
  }
  return tokens::canonical_json(roles);
}

void append(Bytes& out, std::string_view text) {
  const auto bytes = as_bytes(text);
  out.insert(out.end(), bytes.begin(), bytes.end());
}

}  // namespace

std::string_view to_string(Outcome outcome) {
  switch (outcome) {
    case Outcome::released:
      return "released";
    case Outcome::refused:
      return "refused";
    case Outcome::discarded:
      return "discarded";
  }
  return "";
}

std::optional<Position> Position::parse(std::string_view text) {
  Position out;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), out.index);
  if (failed != std::errc()) return std::nullopt;
  const auto border = static_cast<std::size_t>(end - text.data());
  out.origin = text.substr(std::min(border + 1, text.size()));
  return out.to_string() == text ? std::optional(std::move(out)) : std::nullopt;
}

EventText::EventText(const Event& event, std::string_view id, std::span<const SubjectTag> subjects) : head_("{") {
  append_member(head_, "actor", event.actor_x5t);
  append_member(head_, "client", event.client);
  if (!event.details.empty()) head_ += "\"details\":" + tokens::canonical_json(event.details) + ',';
  append_member(head_, "event", event.type);
  append_member(head_, "id", id);
  head_ += "\"index\":";
  append_member(tail_, "request", event.request_id);
  if (!subjects.empty()) tail_ += "\"subjects\":" + subjects_text(subjects) + ',';
}

LeafDraft EventText::finish(std::vector<KeyUse> uses, std::size_t omitted, Outcome outcome,
                            std::string_view reason) && {
  std::string keys;
  for (const auto& use : uses) {
    std::string text;
    append_use(text, use);
    if (keys.size() + text.size() >= max_keys_size) {
      ++omitted;
      continue;
    }
    keys += keys.empty() ? '[' : ',';
    keys += text;
  }
  std::string middle = ",";
  if (!keys.empty()) middle += "\"keys\":" + keys + "],";
  if (omitted != 0) middle += fmt::format("\"keys_omitted\":{},", omitted);
  append_member(middle, "outcome", to_string(outcome));
  append_member(middle, "reason", reason.substr(0, max_reason_size));
  middle += tail_;
  middle += "\"time\":";
  return LeafDraft{std::move(head_), std::move(middle), std::move(uses)};
}

void LeafDraft::append_to(Bytes& out, std::uint64_t index, std::int64_t unix_ms) const {
  append(out, head);
  append(out, fmt::format_int(index).c_str());
  append(out, middle);
  append(out, fmt::format_int(unix_ms).c_str());
  out.push_back('}');
}

std::int64_t leaf_time(std::string_view leaf) {
  const auto value = tokens::parse_json(leaf);
  const auto* time = value && value->is_object() ? value->get_object().if_contains("time") : nullptr;
  return time != nullptr && time->is_int64() ? time->get_int64() : 0;
}

std::string subject_tag(ByteView key, std::string_view origin, std::string_view type, std::string_view value,
                        std::string_view id) {
  const auto input = fmt::format("{}\n{}\n{}\n{}", origin, type, value, id);
  return tokens::base64url_encode(tokens::hmac_sha256(key, as_bytes(input)));
}

}  // namespace avseal::ledger
