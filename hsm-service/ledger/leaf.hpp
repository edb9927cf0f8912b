// The leaf of an event: canonical JSON (RFC 8225 section 9) with the members actor, client, details, event, id, index,
// keys, keys_omitted, outcome, reason, request, subjects, time; those without content are left out. `time` is in Unix
// milliseconds.
#pragma once

#include <span>

#include "ledger/event.hpp"
#include "tokens/bytes.hpp"

namespace avseal::ledger {

inline constexpr std::size_t max_leaf_size = 65535;    // an entry of a tile has a 16-bit length
inline constexpr std::size_t max_event_size = 32'768;  // leaves room for the uses of keys
inline constexpr std::size_t max_key_uses = 64;        // of one leaf; more are only counted

// A leaf whose place is not known yet: the writer puts the index after `head` and the time after `middle`.
struct LeafDraft {
  std::string head;
  std::string middle;
  std::vector<KeyUse> uses = {};  // that it tells of

  void append_to(Bytes& out, std::uint64_t index, std::int64_t unix_ms) const;
};

struct SubjectTag {
  std::string role;
  std::string tag;
};

// What of a leaf is known when its slot is opened.
class EventText {
 public:
  // id: unique to the leaf, empty if it has no subjects.
  EventText(const Event& event, std::string_view id, std::span<const SubjectTag> subjects);

  [[nodiscard]] std::size_t size() const { return head_.size() + tail_.size(); }
  [[nodiscard]] LeafDraft finish(std::vector<KeyUse> uses, std::size_t omitted, Outcome outcome,
                                 std::string_view reason) &&;

 private:
  std::string head_;
  std::string tail_;
};

std::int64_t leaf_time(std::string_view leaf);  // 0: it says none

// base64url HMAC-SHA-256 under the subject's key over origin, event type, value and the leaf's id, separated by 0x0A:
// only who has the key can tell whom a leaf concerns, or that two leaves concern one person.
std::string subject_tag(ByteView key, std::string_view origin, std::string_view type, std::string_view value,
                        std::string_view id);

}  // namespace avseal::ledger
