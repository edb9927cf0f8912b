#include "audit/trust.hpp"

#include <thread>

#include "tlog/period.hpp"

namespace avseal::audit {

namespace {

constexpr std::chrono::milliseconds pause{100};  // before a checkpoint is read again

// The policy with the keys of the periods of one log for the one that is asked for.
tlog::Policy for_origin(const tlog::Policy& policy, const std::string& origin) {
  tlog::Policy out = policy;
  out.logs.clear();
  for (const auto& log : policy.logs) {
    if (auto key = tlog::key_for(log.key, origin)) out.logs.push_back({std::move(*key), log.url});
  }
  return out;
}

}  // namespace

Trust Trust::of_keys(std::vector<tlog::VerifierKey> keys) {
  tlog::Policy policy;
  for (auto& key : keys) policy.logs.push_back({std::move(key), {}});
  return Trust(std::move(policy));
}

Trust Trust::of_policy(tlog::Policy policy) {
  return Trust(std::move(policy));
}

Result<tlog::Checkpoint> Trust::check(const tlog::Note& note) const {
  AVSEAL_TRY(auto checkpoint, tlog::Checkpoint::parse(note.text));
  const auto policy = for_origin(policy_, checkpoint.origin);
  if (policy.logs.empty()) {
    return errors::make(Category::invalid, "note-signature-missing",
                        "no key that you trust is of the log " + checkpoint.origin);
  }
  AVSEAL_CHECK(policy.check(note));
  return checkpoint;
}

std::vector<tlog::VerifierKey> Trust::keys_of(const std::string& origin) const {
  std::vector<tlog::VerifierKey> keys;
  for (auto& log : for_origin(policy_, origin).logs) keys.push_back(std::move(log.key));
  return keys;
}

Result<tokens::PublicKey> public_key_of(const tlog::VerifierKey& key) {
  if (key.type() == tlog::KeyType::ecdsa) return tokens::PublicKey::from_spki(key.material());
  return errors::make(Category::invalid, "vkey-malformed", "expected an ECDSA key, found one of another kind");
}

Result<tlog::Checkpoint> Trust::check(std::string_view note) const {
  AVSEAL_TRY(const auto parsed, tlog::Note::parse(note));
  return check(parsed);
}

Result<tlog::Checkpoint> Trust::check_closed(std::string_view note) const {
  auto policy = policy_;
  policy.quorum.clear();
  return Trust(std::move(policy)).check(note);
}

Result<std::string> Trust::read(const tlog::Source& source, std::chrono::milliseconds patience) const {
  const auto end = std::chrono::steady_clock::now() + patience;
  for (;;) {
    AVSEAL_TRY(const auto bytes, source.read("checkpoint"));
    std::string note(as_text(bytes));
    const auto checked = check(note);
    if (checked || checked.error().reason != "quorum-missed" || std::chrono::steady_clock::now() >= end) return note;
    std::this_thread::sleep_for(pause);
  }
}

}  // namespace avseal::audit
